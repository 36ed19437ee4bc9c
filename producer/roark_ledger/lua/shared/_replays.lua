-- The books of replay jobs: which dead letters a job will send, which it has sent and how they ended.
--
-- A job is a number. KEY.replay_selected (dead letters that are to be sent) and KEY.replay_sent (sent ones without an
-- outcome yet) order call ids by job × 10^8 + place: a call is in one job at most, and the calls of a job are one range.
-- An unsent letter stays a dead letter, so a job that stops at any moment has nothing to bring back.
--
-- KEY.replay_live holds what is known of the jobs that have not ended, each field as `job name`:
--   state       collecting, running, paused or cancelled        spec        what Python wants to remember (JSON)
--   who         history line of each report that it sends       created, start_at, changed, heard   ms
--   ramp        sizes of the first steps, parted by blanks      stop        share of failures that stops it
--   gap         ms from one report to the next, 0: no rate      next_at     when the next one may go (ms)
--   step        number of the running step                      step_from   place of the first report sent in it
--   step_good, step_bad   outcomes in it, or in the last hundred or so once the ramp is over
--   step_sent_at          when its last report was sent (ms)
--   selected, sent, delivered, already_there, failed, erased    counts
--   left MOVE   letters that left the dead by another way before they were sent, by the move that took them
--   group TEXT  letters that failed again, by reason, status and message with ids and numbers folded
--   by, reason  who paused or cancelled it, and why             swept       how far ended reports were looked for
-- A job that has ended is one text in KEY.replay_past, fields and values parted by line ends.

local JOB_PLACES, MOST_GROUPS, MOST_CAUSE = 100000000, 20, 200

local function whole(number) return string.format('%.0f', number) end

local function field_of(job, name) return whole(job) .. ' ' .. name end

local function count_in(job, name, by)
  redis.call('HINCRBY', KEY.replay_live, field_of(job, name), by)
end

local function range_of(job, from)
  return whole(job * JOB_PLACES + (from or 0)), '(' .. whole((job + 1) * JOB_PLACES)
end

-- Takes a dead letter out of the selection that it stands in, if any: it leaves the dead by another way.
local function leave_selection(id, how)
  local score = redis.call('ZSCORE', KEY.replay_selected, id)
  if not score then return false end
  redis.call('ZREM', KEY.replay_selected, id)
  count_in(math.floor(tonumber(score) / JOB_PLACES), 'left ' .. how, 1)
  return true
end

-- Ids and numbers are folded, as `dlq groups` does it, so that one cause is one line of the job's report.
local function folded(cause)
  local ok, detail = pcall(cjson.decode, cause or '')
  if not ok or type(detail) ~= 'table' then return '' end
  local message = type(detail.message) == 'string' and detail.message or ''
  message = string.gsub(string.gsub(message, '%c', ' '), '%+?[%w_%-]*%d[%w_%-]*', '#')
  message = string.gsub(message, '#[.:]#', '#')
  local status = type(detail.status) == 'number' and whole(detail.status) or '0'
  return status .. ' ' .. string.sub(message, 1, MOST_CAUSE)
end

local function count_group(job, reason, cause)
  local told = folded(cause)
  local name = field_of(job, 'group ' .. reason .. ' ' .. (told == '' and '0 ' or told))
  if redis.call('HEXISTS', KEY.replay_live, name) == 0 then
    local groups = tonumber(redis.call('HINCRBY', KEY.replay_live, field_of(job, 'groups'), 1))
    if groups > MOST_GROUPS then name = field_of(job, 'group other 0 ') end
  end
  redis.call('HINCRBY', KEY.replay_live, name, 1)
end

local any_sent

-- Takes note of how a report that a job has sent has ended: `delivered`, `failed` or `erased`. `reason` and `cause`
-- (the history line) are those of a failure. Returns false, and does nothing, for a report that no job has sent.
local function replay_ended(id, how, reason, cause)
  if any_sent == nil then any_sent = redis.call('ZCARD', KEY.replay_sent) > 0 end
  if not any_sent then return false end
  local score = redis.call('ZSCORE', KEY.replay_sent, id)
  if not score then return false end
  redis.call('ZREM', KEY.replay_sent, id)
  local job = math.floor(tonumber(score) / JOB_PLACES)
  local place = tonumber(score) - job * JOB_PLACES
  count_in(job, how, 1)
  if how == 'failed' then count_group(job, reason, cause) end
  if how == 'delivered' and string.find(cause or '', '"already_there":true', 1, true) then
    count_in(job, 'already_there', 1)
  end
  local step_from = tonumber(redis.call('HGET', KEY.replay_live, field_of(job, 'step_from')) or 0)
  if how ~= 'erased' and place >= step_from then
    count_in(job, how == 'failed' and 'step_bad' or 'step_good', 1)
  end
  return true
end
