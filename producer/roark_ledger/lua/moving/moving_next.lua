#!lua flags=no-writes,allow-oom
-- Names calls that are still to be moved: first what is to be delivered, then what stands still, and of what is delivered
-- the latest first, because the older ones are put in front of them (moving_adopt.lua).
--
-- ARGV  1 now   2 most
-- Returns call ids.

local most = tonumber(ARGV[2])
local ORDER = {
  'fresh', 'retry', 'replay', 'uploading', 'waiting', 'dead', 'discarded', 'unconfirmed', 'delivered', 'missing', 'removed',
}
local found, named = {}, {}

local function add(ids)
  for _, id in ipairs(ids) do
    if #found >= most then return end
    if not named[id] then found[#found + 1] = id end
    named[id] = true
  end
end

local function latest_delivered()
  local ids, latest = redis.call('LRANGE', KEY.delivered, -most, -1), {}
  for i = #ids, 1, -1 do latest[#latest + 1] = ids[i] end
  return latest
end

for _, name in ipairs(ORDER) do
  if #found >= most then break end
  add(name == 'delivered' and latest_delivered() or redis.call('ZRANGE', KEY[name], 0, most - 1))
end
-- What stands nowhere is broken; it is moved all the same, for the audit to find it there.
if #found == 0 then add(redis.call('HRANDFIELD', KEY.records, most)) end
return found
