-- How a refusal is recorded with its report, once it is known what it means (_judging.lua).

local WAIT_MS, LONGEST_WAIT_MS = 3000, 10000
-- The first ones are told one by one, of the others only the last: a probe may be refused for days.
local TOLD = 5

local function sent_times(number, line) return '{"sends":' .. number .. ',' .. string.sub(line, 2) end

local function tell_refusal(id, number, line)
  if number > TOLD then
    local history = redis.call('HGET', KEY.histories, id) or ''
    local earlier, last = string.match(history, '^(.*\n)(%d+ refused [^\n]*\n)$')
    if last then redis.call('HSET', KEY.histories, id, earlier) end
  end
  tell(id, 'refused', sent_times(number, line))
end

-- `remembered` is what KEY.refused is to say of it. Returns 1 when the report waits, 2 when it is a dead letter.
local function record_refusal(id, record, code, is_dead, total, remembered, line, last_words)
  note_refused(id)
  if is_dead then
    record.attempts = record.attempts + total
    record.note, record.cause = code, last_words
    move(id, record, 'bury', now)
    tell(id, 'buried', sent_times(total, last_words))
  else
    record.deaths = 0
    record.note = code
    move(id, record, 'refuse', now + math.min(WAIT_MS * total, LONGEST_WAIT_MS))
    tell_refusal(id, total, line)
    redis.call('HSET', KEY.refused, id, remembered)
  end
  take_beside(id, record)
  return is_dead and 2 or 1
end
