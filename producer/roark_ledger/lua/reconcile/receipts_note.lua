#!lua flags=allow-oom
-- Keeps what Roark said of deliveries that were looked up, or why it said nothing.
--
-- One that is visible is done with, and told in its call's history. One that is not is looked for again, by the ages at
-- which that is worth it; told and counted as late once it is older than Roark may take, and as absent after the last.
--
-- ARGV  1 now   2 why nothing could be looked up, empty where all could
--       3 age (ms) up to which it is in time   4 ages of the looks (ms), by blanks
--       then for each: call id, Roark's id of it, when it was due (ms), 1 visible or 0, history line (JSON)
-- Returns for each 1, or 0 where it is known already, or another report took its place.

local IN_TIME = tonumber(ARGV[3])
local OVER = 50
local ages = {}
for age in string.gmatch(ARGV[4], '%d+') do ages[#ages + 1] = tonumber(age) end

local share = tonumber(redis.call('HGET', KEY.lane, 'receipts_unseen') or 0)

-- The share of late ones, over some fifty.
local function measure(is_late)
  share = share + (is_late - share) / OVER
end

-- The last age at which it may still be in time: who is not visible by then is late.
local last_in_time = ages[1]
for _, age in ipairs(ages) do
  if age <= IN_TIME then last_in_time = age end
end

local function note_visible(id, age, looked_at, line)
  redis.call('ZREM', KEY.receipts, id)
  tell(id, 'seen', line)
  count('receipts_seen', 1)
  if age <= IN_TIME then
    count('receipts_in_time', 1)
    measure(0)
  elseif looked_at > last_in_time then
    share = math.max(0, share - 1 / OVER)
  end
end

local function note_invisible(id, record, age, looked_at, line)
  if age >= last_in_time and looked_at <= last_in_time then
    tell(id, 'unseen', line)
    count('receipts_late', 1)
    measure(1)
  end
  for _, following in ipairs(ages) do
    if following > age then
      redis.call('ZADD', KEY.receipts, record.since + following, id)
      return
    end
  end
  redis.call('ZREM', KEY.receipts, id)
  tell(id, 'absent', line)
  count('receipts_absent', 1)
end

local results = {}
for i = 5, #ARGV, 5 do
  local id, named, due, visible, line = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local record = read(id)
  local at = tonumber(redis.call('ZSCORE', KEY.receipts, id) or nil)
  if record.state == 'delivered' and record.note == named and at == tonumber(due) then
    local age, looked_at = now - record.since, at - record.since
    if visible == '1' then
      note_visible(id, age, looked_at, line)
    else
      note_invisible(id, record, age, looked_at, line)
    end
    results[#results + 1] = 1
  else
    results[#results + 1] = 0
  end
end
redis.call(
  'HSET', KEY.lane, 'receipts_asked', now, 'receipts_error', ARGV[2], 'receipts_unseen', string.format('%.4f', share)
)
if ARGV[2] == '' then redis.call('HSET', KEY.lane, 'receipts_at', now) end
return results
