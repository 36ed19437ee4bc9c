#!lua flags=allow-oom
-- Records that Roark, or whatever answered, refused these reports in a way that may be true for all of us, or for them
-- alone; _refusals.lua says how that is told. They wait, or are dead letters, and the lane may be put on hold, or learns
-- what its probe came to. Does nothing for a caller that lost its lease.
--
-- needs _flow.lua
-- needs _route.lua
--
-- ARGV  1 now   2 longest gap between probes of a held lane (ms)   3 most sends of one report, whatever else is the case
--       then for each report: call id, token, reason's code, what was said, how long it took (ms), history line (JSON),
--       history line (JSON) if it is a dead letter now
-- Returns for each report 1 when it waits, 2 when it is a dead letter, or 0 where the lease was lost; behind them
-- { what, why } for what the lane came to.

local SENDS = 3
local WAIT_MS, LONGEST_WAIT_MS = 3000, 10000
local FIRST_GAP_MS, GAP_MS, SHARE_OF_HOLD = 1000, 2000, 40
-- The first ones are told one by one, of the others only the last: a probe may be refused for days.
local TOLD = 5

local longest_gap, most_sends = tonumber(ARGV[2]), tonumber(ARGV[3])

local function sent_times(number, line) return '{"sends":' .. number .. ',' .. string.sub(line, 2) end

local function tell_refusal(id, number, line)
  if number > TOLD then
    local history = redis.call('HGET', KEY.histories, id) or ''
    local earlier, last = string.match(history, '^(.*\n)(%d+ refused [^\n]*\n)$')
    if last then redis.call('HSET', KEY.histories, id, earlier) end
  end
  tell(id, 'refused', sent_times(number, line))
end

local function put_on_hold(said, is_lone)
  lane.state, lane.by, lane.reason, lane.since, lane.probe_from = LANE.held, 'roark', said, now, now
  lane.lone = is_lone and 1 or nil
  lane.stale = lane.lone
  lane.probe_gap = math.min(FIRST_GAP_MS, longest_gap)
  lane.probe_at = now + lane.probe_gap
  lane.probe = nil
  count('holds', 1)
  noted.news[#noted.news + 1] = { 'lane_held', said }
end

-- The probe was refused: the next one goes after a gap that grows with the time for which that has been so.
local function probe_was_refused(said)
  lane.probe = nil
  if lane.state == LANE.held and lane.by == 'roark' then
    lane.reason = said
    local grown = math.max(GAP_MS, (now - (lane.probe_from or lane.since)) / SHARE_OF_HOLD)
    lane.probe_gap = math.floor(math.min(grown, longest_gap))
    lane.probe_at = now + lane.probe_gap
  elseif lane.breaker_until then
    lane.breaker_until = now + lane.breaker_gap
  end
end

-- What the refusal says about all of us.
local function note_refusal(id, past, began, ended, code, said)
  if not lane.refused_since then lane.refused_since, lane.refused, lane.refused_row = now, 0, 0 end
  lane.refused_began = math.max(lane.refused_began or 0, began)
  lane.refused_ended = math.max(lane.refused_ended or 0, ended)
  if past.last < lane.refused_since then
    lane.refused = lane.refused + 1
    lane.refused_row = lane.refused_row + 1
  end
  lane.refusals = more_evidence(lane.refusals, code, id)
  if lane.lone and lane.refused >= FEW then lane.lone = nil end
  if lane.state == LANE.held then return end
  if lane.refused_row >= enough() or lane.refused >= IN_ALL * enough() then
    put_on_hold(said, false)
  elseif past.count > 0 and ready_count() + redis.call('ZCARD', KEY.uploading) == 0 then
    put_on_hold(said, true)
  end
end

local function refuse(id, token, record, code, said, took, line, last_words)
  local began = record.since
  local ended = began + took
  local past = past_refusals(id)
  note_refused(id)
  local first = past.count > 0 and past or { began = began, ended = ended }
  local passed = others_passed(first.began, first.ended)
  if passed and past.count > 0 then lane.alone = math.max(lane.alone or 0, first.began) end
  local number, total = past.count + 1, past.total + 1
  if not passed and is_about_all() then
    number = 0
  elseif past.count > 0 and (lane.mixed or 0) > first.ended then
    number, first = 1, { began = began, ended = ended }
  end
  if passed and (number >= SENDS or total >= most_sends) then
    record.attempts = record.attempts + total
    record.note, record.cause = code, last_words
    move(id, record, 'bury', now)
    tell(id, 'buried', sent_times(total, last_words))
  else
    record.deaths = 0
    record.note = code
    move(id, record, 'refuse', now + math.min(WAIT_MS * total, LONGEST_WAIT_MS))
    tell_refusal(id, total, line)
    redis.call('HSET', KEY.refused, id, string.format(
      '%d %d %d %d %d', number, first.began, first.ended, total, now
    ))
  end
  local is_dead = record.state == 'dead'
  take_beside(id, record)
  if is_probe(id, token) then probe_was_refused(said) end
  if not passed then note_refusal(id, past, began, ended, code, said) end
  return is_dead and 2 or 1
end

local results = {}
open_lane()
for i = 4, #ARGV, 7 do
  local id, token, code = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local record = read(id)
  if holds(record, token) then
    local said = code .. (ARGV[i + 3] == '' and '' or ' ' .. ARGV[i + 3])
    results[#results + 1] = refuse(
      id, token, record, code, said, tonumber(ARGV[i + 4]), ARGV[i + 5], ARGV[i + 6]
    )
  else
    results[#results + 1] = 0
  end
end
close_lane()
return with_news(results)
