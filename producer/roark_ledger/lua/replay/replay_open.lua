#!lua flags=allow-oom
-- Begins a replay job: letters are selected for it next, then it starts. If its creator is not heard of for a while,
-- the tick ends it and gives its letters back.
--
-- needs _jobs.lua
--
-- ARGV  1 now   2 most jobs that may be open at once   3 the number of a job that has one, else 0
-- Returns the job's number, or 0 where too many are open.

if redis.call('ZCARD', KEY.replay_open) >= tonumber(ARGV[2]) then return 0 end
local job = tonumber(ARGV[3])
if job == 0 then job = redis.call('HINCRBY', KEY.counters, 'replay_jobs', 1) end
redis.call('ZADD', KEY.replay_open, now, whole(job))
set_in(job, 'state', 'collecting', 'created', now, 'changed', now, 'heard', now, 'selected', 0, 'sent', 0)
return job
