-- The way to Roark: how fast, how much at once, and when not at all. Every claim asks the gate, every outcome is
-- told to it. What it remembers is in _lane.lua, the rate in _rate.lua, the level in _level.lua.
--
--   hold      stopped by hand, or because Roark refuses all of us: probes by different reports, by growing gaps, find
--             out whether it still does (_refusals.lua tells that from the refusal of one)
--   breaker   stopped because most attempts, or many in a row, failed, and chance does not explain it: one probe after a
--             gap that doubles
--   pause     Roark asked all of us to wait
--
-- A probe is one upload. As long as its lease lives there is no other; a lost one is followed by another.

local RUN_MS = 500
-- Failures that come by chance, at four fifths of the share that opens the breaker, shall not open it.
local OF_SHARE, DEVIATIONS_FROM_IT, SURE_IN_A_ROW = 0.8, 3.5, 9
local UNKNOWN_RTT_MS = 2000
local SOON_MS = 1000

-- What the script that runs is told: attempts that Roark judged, when the failed ones began, and what overload shows.
local noted = {
  good = 0, good_began = 0, bad = {}, causes = {}, fine = 0, odd = 0, late = 0, refused = 0, freshly = false, news = {},
}

local function no_hold()
  lane.state, lane.reason, lane.by, lane.since, lane.probe_at, lane.probe_gap = nil, nil, nil, nil, nil, nil
  lane.lone, lane.stale, lane.probe_from = nil, nil, nil
  no_refusals()
end

local function no_breaker()
  lane.breaker_until, lane.breaker_gap, lane.breaker_since, lane.evidence = nil, nil, nil, nil
  lane.failures, lane.failures_before = nil, nil
  lane.good, lane.bad, lane.good_before, lane.bad_before, lane.window_at = nil, nil, nil, nil, nil
  lane.run, lane.run_since = nil, nil
end

-- For how many ms the probe that is out may still be waited for.
local function probe_lease()
  if not lane.probe then return 0 end
  local id, token = string.match(lane.probe, '^(.*) (%d+)$')
  local ends = redis.call('ZSCORE', KEY.uploading, id)
  if not ends or not holds(read(id), token) then return 0 end
  return math.max(0, tonumber(ends) - now)
end

-- When the next probe of a held lane goes. When only reports that were refused before could be asked, one that was
-- not is asked soon.
local function next_probe()
  if not lane.stale or redis.call('ZCARD', KEY.fresh) == 0 then return lane.probe_at end
  return math.min(lane.probe_at, (lane.probed_at or 0) + SOON_MS)
end

-- How many of the wanted uploads may start: number, lane state, ms until asking again makes sense, and whether it
-- is the level that kept the number down. A pause that Roark asked for is a pause for probes, too.
local function gate(rules, wanted)
  local paused = math.max(0, (lane.paused_until or 0) - now)
  local found = way(lane.state, lane.breaker_until, lane.paused_until)
  if found == LANE.held then
    if not lane.probe_at then return 0, found, 0 end
    local wait = math.max(next_probe() - now, paused, probe_lease())
    if wait > 0 then return 0, found, wait end
    return 1, LANE.probing, 0
  end
  if found == LANE.breaker_open then return 0, found, math.max(lane.breaker_until - now, paused) end
  if found == LANE.half_open then
    local wait = probe_lease()
    return wait > 0 and 0 or 1, found, wait
  end
  if found == LANE.throttled then return 0, found, paused end
  local allowed, wait = by_rate(rules)
  if allowed < 1 then return 0, LANE.throttled, wait end
  local free = math.max(0, math.floor(level(rules)) - redis.call('ZCARD', KEY.uploading))
  return math.min(wanted, free, allowed), found, 0, free < math.min(wanted, allowed)
end

-- Takes note of uploads that start: `first` is `id token` of the first one, by which a probe is known.
local function started(rules, state, number, first)
  charge_rate(rules, number)
  count_begun(rules, number)
  if state == LANE.probing then
    lane.probe = first
    lane.probed_at = now
    lane.probe_at = now + lane.probe_gap
  elseif state == LANE.half_open then
    lane.probe = first
  end
end

local function open_breaker(rules, evidence)
  lane.breaker_gap = lane.relapse and math.min(lane.relapse * 2, rules.longest_cooldown) or rules.cooldown
  lane.breaker_until = now + lane.breaker_gap
  lane.breaker_since = now
  lane.evidence = evidence
  lane.failures, lane.failures_before = added_evidence(lane.failures, lane.failures_before), nil
  lane.relapse = nil
  if lane.state ~= LANE.held then lane.probe = nil end
  count('breaker_opened', 1)
  noted.news[#noted.news + 1] = { 'breaker_opened', evidence }
end

local function roll_window(rules)
  local age = now - (lane.window_at or 0)
  if age < rules.window then return end
  lane.good_before = age < 2 * rules.window and lane.good or 0
  lane.bad_before = age < 2 * rules.window and lane.bad or 0
  lane.window_at = now - age % rules.window
  lane.good, lane.bad = 0, 0
  lane.failures_before, lane.failures = age < 2 * rules.window and lane.failures or nil, nil
end

-- A run is made of attempts that began after its first failure: what was under way before tells about the past,
-- be it good (slow answers that still come) or bad (a proxy that restarts ends all uploads at the same moment).
local function count_run()
  if lane.run_since and noted.good_began > lane.run_since then lane.run, lane.run_since = nil, nil end
  if #noted.bad == 0 then return end
  lane.run_since = lane.run_since or now
  lane.run = lane.run or 1
  for _, began in ipairs(noted.bad) do
    if began > lane.run_since then lane.run = lane.run + 1 end
    lane.bad_began = math.max(lane.bad_began or 0, began)
  end
end

-- How many uploads that began after this time are still out, where failures come much sooner than good answers do: these
-- are the good ones. Where failures take as long, they tell nothing. (One whose lease was renewed is taken for a younger one.)
local function still_out(since)
  if now - lane.bad_began > (lane.rtt or UNKNOWN_RTT_MS) / 2 then return 0 end
  return redis.call('ZCOUNT', KEY.uploading, string.format('(%.0f', since + (lane.lease or 0)), '+inf')
end

-- Whether so many failures are as large a share as opens the breaker, and more than chance makes of a smaller one.
local function is_too_many(rules, failed, total)
  local by_chance = rules.share * OF_SHARE
  if failed < rules.share * total then return false end
  return failed == total
    or failed >= total * by_chance + DEVIATIONS_FROM_IT * math.sqrt(total * by_chance * (1 - by_chance))
end

local function many_in_a_row(rules)
  local few = lane.relapse and math.min(SURE_IN_A_ROW, rules.least) or rules.least
  local ms = now - lane.run_since
  if lane.run < few or not lane.relapse and ms < RUN_MS then return nil end
  if not is_too_many(rules, lane.run, lane.run + still_out(lane.run_since)) then return nil end
  return string.format('%.0f attempts in a row failed, in %.1f s', lane.run, ms / 1000)
end

local function most_of_them(rules)
  local earlier = 1 - (now - lane.window_at) / rules.window
  local failed = lane.bad + (lane.bad_before or 0) * earlier
  local total = failed + lane.good + (lane.good_before or 0) * earlier
  if total < rules.least or not is_too_many(rules, failed, total + still_out(0)) then return nil end
  return string.format('%.0f of %.0f attempts failed in %.0f s', failed, total, rules.window / 1000)
end

-- Counts what was noted, and opens the breaker when too many are failures of Roark or of the way to it.
local function watch(rules)
  if rules.least == 0 or lane.breaker_until then return end
  lane.good = (lane.good or 0) + noted.good
  lane.bad = (lane.bad or 0) + #noted.bad
  if lane.good >= rules.least then lane.relapse = nil end
  count_run()
  if #noted.bad == 0 then return end
  local evidence = many_in_a_row(rules) or most_of_them(rules)
  if evidence then open_breaker(rules, evidence) end
end

local function is_probe(id, token)
  return lane.probe == id .. ' ' .. token
end

-- Takes note of how many of the deliveries Roark did not name the call in: their share, over some two hundred.
local NAMED_OVER = 200
local function note_unnamed(unnamed, delivered)
  if unnamed == 0 and not lane.unnamed then return end
  local share = lane.unnamed or 0
  share = share + (unnamed / delivered - share) * math.min(1, delivered / NAMED_OVER)
  lane.unnamed = (unnamed > 0 or share >= 0.001) and share or nil
end

-- The probe came through: what it was to find out is found out. A hold by hand stays, nobody asked a probe about it.
local function probe_was_good(id, token)
  if not is_probe(id, token) then return end
  lane.probe = nil
  local threshold, was_broken = lane.threshold, lane.breaker_until
  if lane.probe_at then
    learn_from_hold()
    no_hold()
  end
  if was_broken then
    lane.relapse = lane.breaker_gap
    no_breaker()
  end
  lane.resumed = now
  start_slowly()
  -- A wrong token says nothing about how much Roark can take: what waits goes out as fast as ever.
  if not was_broken then lane.threshold = threshold end
  if lane.state ~= LANE.held then noted.news[#noted.news + 1] = { 'lane_open', 'a probe was good' } end
end

-- Roark's answers held the lane, and then others came through that it did not hold back any more.
local function hold_was_wrong()
  learn_from_hold()
  no_hold()
  if not lane.breaker_until then lane.probe = nil end
  noted.news[#noted.news + 1] = { 'lane_open', 'others passed' }
end

-- The probe failed for a passing reason. After a failure the breaker stays open for twice as long as the last time;
-- "not so fast" is an answer, but none to go on at full speed after.
local function probe_was_bad(rules, id, token, is_fault, cause)
  if not is_probe(id, token) then return end
  lane.probe = nil
  if not lane.breaker_until then return end
  if is_fault then
    lane.breaker_gap = math.min(lane.breaker_gap * 2, rules.longest_cooldown)
    -- What it fails of now is what is to be mended.
    if not is_in_evidence(lane.failures, cause) then lane.failures = nil end
  end
  lane.breaker_until = now + lane.breaker_gap
end

-- The probe was given back unjudged: another report may be the probe.
local function probe_is_back(id, token)
  if is_probe(id, token) then lane.probe = nil end
end

-- What a failed attempt says about Roark (see Signal in moves/delivery.py).
local FAULT, OVERLOAD, BOTH, UNSENT = 1, 2, 3, 4

local function note_overload(is_odd, began)
  if is_fresh(began) then
    noted[is_odd and 'odd' or 'fine'] = noted[is_odd and 'odd' or 'fine'] + 1
  elseif is_odd and began <= lane.cut_at and began > (lane.was_from or 0) then
    noted.late = noted.late + 1
  end
end

-- Takes note of an attempt that Roark judged, be it for or against the report; its upload began at `began`.
local function note_good(id, token, began)
  probe_was_good(id, token)
  noted.good = noted.good + 1
  noted.good_began = math.max(noted.good_began, began)
  note_overload(false, began)
end

-- Takes note of one failed attempt, and of what caused that.
local function note(rules, id, token, began, signal, cause)
  local is_fault = signal == FAULT or signal == BOTH
  if signal == UNSENT then
    probe_is_back(id, token)
  elseif is_fault or signal == OVERLOAD then
    probe_was_bad(rules, id, token, is_fault, cause)
  else
    -- Roark judged this one report, so the way to it is in order.
    note_good(id, token, began)
    return
  end
  if is_fault then
    noted.bad[#noted.bad + 1] = began
    noted.causes[#noted.causes + 1] = { cause, id }
  end
  if signal ~= UNSENT then note_overload(signal == BOTH, began) end
  if signal == OVERLOAD then
    noted.refused = noted.refused + 1
    if began > (lane.pace_at or 0) then noted.freshly = true end
  end
end

local function conclude(rules)
  if rules.least > 0 then
    if not lane.breaker_until then roll_window(rules) end
    for _, one in ipairs(noted.causes) do lane.failures = more_evidence(lane.failures, one[1], one[2]) end
  end
  watch(rules)
  if too_fast(noted.refused, noted.freshly) then went_too_fast(rules) end
  came_back(rules, noted.fine, noted.odd, noted.late)
end

-- What the lane came to, behind the results of a script: who recorded it tells it.
local function with_news(results)
  for _, one in ipairs(noted.news) do results[#results + 1] = one end
  return results
end
