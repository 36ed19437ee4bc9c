#!lua flags=allow-oom
-- Selects dead letters for a job that is being made: those that died when the caller says, and in no other job. What
-- died again since was not meant. A letter of a cancelled job is free. Selecting one twice does no harm.
--
-- needs _jobs.lua
--
-- ARGV  1 now   2 job   then for each: call id, since when it is dead (ms)
-- Returns for each `selected`, `job N` where another one has it, `newer` where it died again since, or the state that
-- it is in instead; nothing at all where the job is not being made any more.

local job = tonumber(ARGV[2])
if get_in(job, 'state') ~= 'collecting' then return {} end
local results = {}
local added, taken = 0, {}
local place = tonumber(get_in(job, 'selected'))

-- The job that has the letter, nil where none has or it is a cancelled one.
local function holder(score)
  local other = score and math.floor(tonumber(score) / JOB_PLACES)
  if not other or other == job then return other end
  return get_in(other, 'state') ~= 'cancelled' and other or nil
end

for i = 3, #ARGV, 2 do
  local id = ARGV[i]
  local record = read(id)
  local other = holder(redis.call('ZSCORE', KEY.replay_selected, id))
  if record.state ~= 'dead' then
    results[#results + 1] = record.state
  elseif record.since ~= tonumber(ARGV[i + 1]) then
    results[#results + 1] = 'newer'
  elseif other and other ~= job then
    results[#results + 1] = 'job ' .. whole(other)
  else
    if not other then
      added = added + 1
      redis.call('ZADD', KEY.replay_selected, whole(job * JOB_PLACES + place + added), id)
    end
    results[#results + 1] = 'selected'
  end
end
set_in(job, 'heard', now, 'selected', place + added)
return results
