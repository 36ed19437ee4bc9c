#!lua flags=allow-oom
-- Pauses, resumes or cancels a job. A cancelled one sends nothing more; its unsent letters are given back, some at a
-- time: this script does as many as it is told, the tick the rest. One that stopped by itself begins its ramp anew.
--
-- needs _jobs.lua
--
-- ARGV  1 now   2 job   3 pause, resume or cancel   4 who   5 why   6 most letters given back at once
--       7 who (JSON), for the logbook
-- Returns { state that the job was in, or unknown, or ended; letters given back; letters still to be given back }.

local FROM = { pause = { running = true }, resume = { paused = true } }
FROM.cancel = { collecting = true, running = true, paused = true, cancelled = true }

local job, verb = tonumber(ARGV[2]), ARGV[3]
local was = get_in(job, 'state')
if not was then
  return { redis.call('HEXISTS', KEY.replay_past, whole(job)) == 1 and 'ended' or 'unknown', 0, 0 }
end
if not FROM[verb][was] then return { was, 0, unsent_of(job) } end

local function plain(text) return (string.gsub(text, '%c', ' ')) end

if was ~= 'cancelled' then
  set_in(job, 'by', plain(ARGV[4]), 'reason', plain(ARGV[5]), 'changed', now)
  log_deed('replay-' .. verb, ARGV[7], unsent_of(job), {})
end
if verb == 'pause' then set_in(job, 'state', 'paused') end
if verb == 'resume' then
  if get_in(job, 'stopped') == '1' then
    set_in(job, 'step', 1, 'step_good', 0, 'step_bad', 0, 'stopped', 0)
    set_in(job, 'step_from', whole(tonumber(get_in(job, 'sent')) + 1))
  end
  set_in(job, 'state', 'running')
end
local back = 0
if verb == 'cancel' then
  set_in(job, 'state', 'cancelled')
  back = give_back(job, tonumber(ARGV[6]))
end
return { was, back, unsent_of(job) }
