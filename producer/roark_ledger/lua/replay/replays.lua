#!lua flags=no-writes,allow-oom
-- What is known of replay jobs: all that are open, and a page of those that have ended, the youngest first; or one.
--
-- needs _jobs.lua
--
-- ARGV  1 now   2 job, or 0 for a list   3 first of the ended (0-based)   4 most of the ended
-- Returns { now, ended in all, job … }: a job is { number, unsent, without an outcome, those of them that wait for
--         another try (counted up to 100), fields and values parted by line ends }.

local LOOK_AT = 100
local answer = { now, redis.call('ZCARD', KEY.replay_ended) }

local function waiting_of(job)
  local first, last = range_of(job)
  local waiting = 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEY.replay_sent, first, last, 'LIMIT', 0, LOOK_AT)) do
    if read(id).state == 'waiting' then waiting = waiting + 1 end
  end
  return waiting
end

local function tell_open(job, fields)
  local lines = {}
  for name, value in pairs(fields) do
    lines[#lines + 1] = name
    lines[#lines + 1] = value
  end
  answer[#answer + 1] = { job, unsent_of(job), outstanding_of(job), waiting_of(job), table.concat(lines, '\n') }
end

local function tell_past(job)
  local text = redis.call('HGET', KEY.replay_past, job)
  if text then answer[#answer + 1] = { tonumber(job), 0, 0, 0, text } end
end

local jobs = live_jobs()
local wanted = tonumber(ARGV[2])
if wanted > 0 then
  if jobs[wanted] then tell_open(wanted, jobs[wanted]) else tell_past(whole(wanted)) end
  return answer
end
for _, job in ipairs(redis.call('ZREVRANGE', KEY.replay_open, 0, -1)) do
  if jobs[tonumber(job)] then tell_open(tonumber(job), jobs[tonumber(job)]) end
end
for _, job in ipairs(redis.call('ZREVRANGE', KEY.replay_ended, ARGV[3], ARGV[3] + ARGV[4] - 1)) do tell_past(job) end
return answer
