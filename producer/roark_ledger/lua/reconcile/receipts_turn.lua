#!lua flags=allow-oom
-- Gives one worker at a time the turn to look up deliveries at Roark, and those that are due; who asks again keeps it.
--
-- ARGV  1 now   2 who asks   3 patience (ms): a holder who was not heard of for so long has died   4 most of them
--       5 patience with what is due (ms): what is later than that is given up, and counted
-- Returns {} when it is another's turn, else { 1, delivery … }; a delivery is
-- { call id, Roark's id of it, when it was delivered (ms), when it was due (ms) }.

local seen = redis.call('HMGET', KEY.lane, 'receipts_by', 'receipts_heard')
local by, heard = seen[1], tonumber(seen[2] or 0)
-- A time that lies ahead was written before the clock was set back.
local is_gone = heard > now or now - heard >= tonumber(ARGV[3])
if by and by ~= ARGV[2] and not is_gone then return {} end
redis.call('HSET', KEY.lane, 'receipts_by', ARGV[2], 'receipts_heard', now)

local found = { 1 }
local due = redis.call('ZRANGEBYSCORE', KEY.receipts, '-inf', now, 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[4]))
for i = 1, #due, 2 do
  local id, at = due[i], tonumber(due[i + 1])
  local record = read(id)
  if record.state ~= 'delivered' or record.note == '-' or record.note == 'by-external-id' then
    redis.call('ZREM', KEY.receipts, id)
  elseif now - at > tonumber(ARGV[5]) then
    redis.call('ZREM', KEY.receipts, id)
    count('receipts_skipped', 1)
  else
    found[#found + 1] = { id, record.note, record.since, at }
  end
end
return found
