#!lua flags=no-writes,allow-oom
-- Says of calls which replay job is to send them.
--
-- needs _jobs.lua
--
-- ARGV  1 now   then the call ids
-- Returns for each the job's number, 0 for none.

local results = {}
for i = 2, #ARGV do
  local score = redis.call('ZSCORE', KEY.replay_selected, ARGV[i])
  local job = score and math.floor(tonumber(score) / JOB_PLACES) or 0
  if job > 0 and get_in(job, 'state') == 'cancelled' then job = 0 end
  results[#results + 1] = job
end
return results
