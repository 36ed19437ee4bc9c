-- What the scripts that create, run and end replay jobs share; the fields of a job are listed in _replays.lua.

local function set_in(job, ...)
  local pairs_of = { ... }
  for i = 1, #pairs_of, 2 do pairs_of[i] = field_of(job, pairs_of[i]) end
  redis.call('HSET', KEY.replay_live, unpack(pairs_of))
end

local function get_in(job, name)
  return redis.call('HGET', KEY.replay_live, field_of(job, name)) or nil
end

local function unsent_of(job)
  return redis.call('ZCOUNT', KEY.replay_selected, range_of(job))
end

-- How many reports of the job, from the one sent at that place on, have no outcome yet.
local function outstanding_of(job, from)
  return redis.call('ZCOUNT', KEY.replay_sent, range_of(job, from))
end

-- Gives up to so many of a job's unsent letters back. They are dead letters all along.
local function give_back(job, most)
  local first, last = range_of(job)
  local ids = redis.call('ZRANGEBYSCORE', KEY.replay_selected, first, last, 'LIMIT', 0, most)
  if #ids > 0 then redis.call('ZREM', KEY.replay_selected, unpack(ids)) end
  return #ids
end

-- The fields of all jobs that have not ended, by job.
local function live_jobs()
  local fields, jobs = redis.call('HGETALL', KEY.replay_live), {}
  for i = 1, #fields, 2 do
    local number, name = string.match(fields[i], '^(%d+) (.*)$')
    number = tonumber(number)
    jobs[number] = jobs[number] or {}
    jobs[number][name] = fields[i + 1]
  end
  return jobs
end

-- Takes a job off the open ones, and returns what was known of it as one text.
local function close_job(job)
  local lines, names = {}, {}
  for name, value in pairs(live_jobs()[job]) do
    lines[#lines + 1] = name
    lines[#lines + 1] = value
    names[#names + 1] = field_of(job, name)
  end
  redis.call('ZREM', KEY.replay_open, whole(job))
  redis.call('HDEL', KEY.replay_live, unpack(names))
  return table.concat(lines, '\n')
end

-- Ends a job: what is known of it moves to the past.
local function end_job(job)
  set_in(job, 'ended', now)
  redis.call('HSET', KEY.replay_past, whole(job), close_job(job))
  redis.call('ZADD', KEY.replay_ended, now, whole(job))
end
