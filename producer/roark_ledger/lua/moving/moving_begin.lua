#!lua flags=allow-oom
-- From here on the ledger has partitions. All that it knows of calls one by one is put aside under other keys, in one
-- step, and a text stands where the records were: a process that knows of one partition only fails at it before it writes
-- anything, instead of taking a known call for a new one. What was put aside is changed by moving_drop.lua alone.
--
-- Behind the ledger's keys, which are those of what is put aside (Keys.source), stand the same of the ledger.
--
-- From then on `moving` at KEY.promises says into how many, and `moving_at` when somebody last moved any, or began to (ms).
--
-- ARGV  1 now   2 how many partitions   3 who (JSON)
-- Returns { `began`, calls }, { `moving`, N } or { `partitioned`, N } where that was done before, or { `replays`, number }
-- where replay jobs are open: they know calls by their places.

local facts = redis.call('HMGET', KEY.promises, 'partitions', 'moving')
if facts[1] then return { 'partitioned', tonumber(facts[1]) } end
if facts[2] then
  -- Written, so that it is waited for: nobody may know yet whether the first one to begin is on disk.
  redis.call('HSET', KEY.promises, 'moving_at', now)
  return { 'moving', tonumber(facts[2]) }
end
local replays = redis.call('ZCARD', KEY.replay_open) + redis.call('ZCARD', KEY.replay_selected)
  + redis.call('ZCARD', KEY.replay_sent)
if replays > 0 then return { 'replays', replays } end

local first = #KEYS - #OF_CALLS
for i, name in ipairs(OF_CALLS) do
  if redis.call('EXISTS', KEYS[first + i]) == 1 then redis.call('RENAME', KEYS[first + i], KEY[name]) end
  if name == 'records' then redis.call('SET', KEYS[first + i], 'partitions') end
end
redis.call('HSET', KEY.promises, 'moving', ARGV[2], 'moving_at', now)
local calls = redis.call('HLEN', KEY.records)
log_deed('partition', ARGV[3], calls, {})
return { 'began', calls }
