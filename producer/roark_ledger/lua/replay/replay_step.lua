#!lua flags=allow-oom
-- Takes every replay job one step further: what each worker's tick does, with no leader. Work is bounded.
--
--   collecting   its creator has not been heard of: as if it were cancelled
--   running      the running step is judged, then the replay queue gets as many letters as the step, the rate and the
--                room in the queue allow
--   cancelled    unsent letters are given back
--   any          a report that ended behind the books' back is counted; a job with nothing left to do ends
--
-- A step of the ramp waits until each of its reports has an outcome, or all that have none wait for another try for
-- longer than the patience: those count as failed. After the ramp the share of failures is taken of each hundred.
--
-- needs _jobs.lua
--
-- ARGV  1 now   2 most letters sent at once   3 most reports on the replay queue   4 patience (ms)
--       5 silence (ms) after which a creator is given up   6 how long an ended job is kept (ms); 0: for good
-- Returns { letters sent, { what, job, why } … }: `stopped`, `ended` or `forgotten`.

local WINDOW, LOOK_AT, GIVEN_BACK, FORGOTTEN, BURST_MS = 100, 100, 500, 10, 1000
local HOW = { delivered = 'delivered', dead = 'failed', discarded = 'failed', unknown = 'erased' }

local most, queue_most = tonumber(ARGV[2]), tonumber(ARGV[3])
local patience, silence, keep = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local answer = { 0 }

local function number(fields, name) return tonumber(fields[name] or 0) end

local function news(what, job, why) answer[#answer + 1] = { what, job, why } end

-- Counts reports that ended unnoticed, as those do that an older version settles. Returns how many of the page are
-- under way, and whether each of those waits for another try, as what waits for fresh audio links does not.
local function look_after(job, from)
  local first, last = range_of(job, from)
  local ids = redis.call('ZRANGEBYSCORE', KEY.replay_sent, first, last, 'LIMIT', 0, LOOK_AT)
  local under_way, waiting = 0, 0
  for _, id in ipairs(ids) do
    local record = read(id)
    if HOW[record.state] then
      replay_ended(id, HOW[record.state], record.note)
    else
      under_way = under_way + 1
      if record.state == 'waiting' and record.note ~= 'waits_for_audio' then waiting = waiting + 1 end
    end
  end
  return under_way, waiting == under_way
end

-- The same for all that a job has sent, a page at a time.
local function sweep(job, fields)
  local from = number(fields, 'swept')
  look_after(job, from)
  local first, last = range_of(job, from)
  local page = redis.call('ZRANGEBYSCORE', KEY.replay_sent, first, last, 'WITHSCORES', 'LIMIT', 0, LOOK_AT)
  local next_one = #page == 2 * LOOK_AT and tonumber(page[#page]) - job * JOB_PLACES + 1 or 0
  if next_one ~= from then set_in(job, 'swept', whole(next_one)) end
end

local function stop(job, bad, all, allowed)
  local why = string.format('%d of %d failed again or wait for another try, more than %g %%', bad, all, allowed * 100)
  set_in(job, 'state', 'paused', 'stopped', 1, 'by', 'roark-ingest', 'reason', why, 'changed', now)
  news('stopped', job, why)
  return 0
end

-- How many more the running step may send; 0 too where the job was stopped.
local function room_in_step(job, fields)
  local sizes = {}
  for size in string.gmatch(fields.ramp, '%d+') do sizes[#sizes + 1] = tonumber(size) end
  local step, from = number(fields, 'step'), number(fields, 'step_from')
  local allowed = tonumber(fields.stop)
  local size = sizes[step]
  local sent = number(fields, 'sent') - from + 1
  local under_way, all_wait = 0, false
  if size and sent >= size then under_way, all_wait = look_after(job, from) end
  local good = tonumber(get_in(job, 'step_good'))
  local bad = tonumber(get_in(job, 'step_bad'))
  if bad > allowed * (size or WINDOW) then return stop(job, bad, good + bad, allowed) end
  if not size then
    if good + bad >= WINDOW then set_in(job, 'step_good', 0, 'step_bad', 0) end
    return most
  end
  if sent < size then return size - sent end
  if under_way > 0 then
    if not all_wait or math.abs(now - number(fields, 'step_sent_at')) < patience then return 0 end
    if bad + under_way > allowed * size then return stop(job, bad + under_way, good + bad + under_way, allowed) end
  end
  set_in(job, 'step', step + 1, 'step_from', whole(number(fields, 'sent') + 1), 'step_good', 0, 'step_bad', 0)
  return sizes[step + 1] or most
end

-- How many the job's rate allows now, and when the next one may go if so many are sent.
local function allowed_by_rate(fields)
  local gap, at = tonumber(fields.gap), tonumber(fields.next_at)
  if gap == 0 then return most, function() return now end end
  -- A time that lies further ahead was written before the clock was set back.
  if at > now + gap + 1 then at = now end
  at = math.max(at, now - BURST_MS)
  if at > now then return 0 end
  return math.floor((now - at) / gap) + 1, function(sent) return at + sent * gap end
end

local function send(job, fields, wanted)
  local first, last = range_of(job)
  local ids = redis.call('ZRANGEBYSCORE', KEY.replay_selected, first, last, 'LIMIT', 0, wanted)
  local sent = number(fields, 'sent')
  for _, id in ipairs(ids) do
    local record = read(id)
    if LEGAL.replay[record.state] then
      redis.call('ZREM', KEY.replay_selected, id)
      sent = sent + 1
      redis.call('ZADD', KEY.replay_sent, whole(job * JOB_PLACES + sent), id)
      record.attempts, record.deaths, record.note = 0, 0, '-'
      move(id, record, 'replay', now, 'p')
      tell(id, 'replayed', fields.who)
    else
      leave_selection(id, record.state)
    end
  end
  local number_sent = sent - number(fields, 'sent')
  if number_sent > 0 then
    count('replayed', number_sent)
    set_in(job, 'sent', whole(sent), 'step_sent_at', now)
  end
  return number_sent
end

local function feed(job, fields)
  local step = room_in_step(job, fields)
  if step == 0 then return end
  local rate, next_at = allowed_by_rate(fields)
  local queue = queue_most - redis.call('ZCARD', KEY.replay)
  local wanted = math.min(step, rate, queue, most - answer[1])
  if wanted < 1 then return end
  local sent = send(job, fields, wanted)
  if sent > 0 then set_in(job, 'next_at', string.format('%.3f', next_at(sent))) end
  answer[1] = answer[1] + sent
end

local function take_further(job, fields)
  if fields.state == 'collecting' and math.abs(now - number(fields, 'heard')) > silence then
    set_in(job, 'state', 'cancelled', 'by', 'roark-ingest', 'reason', 'whoever was making it has gone', 'changed', now)
    fields.state = 'cancelled'
  end
  -- A creation that lies ahead was written before the clock was set back.
  local has_begun = number(fields, 'start_at') <= now or number(fields, 'created') > now
  if fields.state == 'running' and has_begun and unsent_of(job) > 0 then feed(job, fields) end
  if fields.state == 'cancelled' then give_back(job, GIVEN_BACK) end
  if fields.state == 'collecting' then return end
  sweep(job, fields)
  if unsent_of(job) == 0 and outstanding_of(job) == 0 then
    end_job(job)
    news('ended', job, '')
  end
end

if keep > 0 then
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEY.replay_ended, '-inf', now - keep, 'LIMIT', 0, FORGOTTEN)) do
    redis.call('ZREM', KEY.replay_ended, job)
    redis.call('HDEL', KEY.replay_past, job)
    news('forgotten', tonumber(job), '')
  end
end

local open = redis.call('ZRANGE', KEY.replay_open, 0, -1)
if #open == 0 then return answer end
local jobs = live_jobs()
-- Another one is first each second, so that none takes all the room in the queue.
local first = math.floor(now / 1000)
for i = 1, #open do
  local job = tonumber(open[(first + i) % #open + 1])
  if jobs[job] then take_further(job, jobs[job]) end
end
return answer
