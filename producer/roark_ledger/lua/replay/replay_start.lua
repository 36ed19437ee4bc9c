#!lua flags=allow-oom
-- Lets a job that is being made begin: in a while, in which a cancel takes all of it back. One without letters is dropped.
--
-- needs _jobs.lua
--
-- ARGV  1 now   2 job   3 delay (ms)   4 sizes of the first steps, parted by blanks   5 ms from one report to the next;
--       0: no rate   6 share of failures that stops it   7 who (JSON), for the logbook and each report's
--       history
--       8 what else is to be remembered (JSON on one line)
-- Returns 1, or 0 where the job is not being made any more, or has no letters.

local job = tonumber(ARGV[2])
if get_in(job, 'state') ~= 'collecting' then return 0 end
if unsent_of(job) == 0 then
  close_job(job)
  return 0
end
set_in(
  job, 'state', 'running', 'start_at', whole(now + tonumber(ARGV[3])), 'changed', now, 'ramp', ARGV[4], 'gap', ARGV[5],
  'next_at', now, 'stop', ARGV[6], 'who', ARGV[7], 'spec', ARGV[8], 'step', 1, 'step_from', 1, 'step_good', 0,
  'step_bad', 0
)
log_deed('replay', ARGV[7], tonumber(get_in(job, 'selected')), {})
return 1
