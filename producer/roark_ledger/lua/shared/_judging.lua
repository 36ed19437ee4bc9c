-- What a refusal means: for its report, and for all of us. _refusals.lua says how that is told, and what it is told from.
--
-- It needs neither the report nor its record: where reports lie in partitions, their home judges, and they record it.

local SENDS = 3
local FIRST_GAP_MS, GAP_MS, SHARE_OF_HOLD = 1000, 2000, 40

local function put_on_hold(said, is_lone, longest_gap)
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
local function probe_was_refused(said, longest_gap)
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

-- What the refusal says about all of us. `is_alone` tells whether there is no other report to ask.
local function note_refusal(id, past, began, ended, code, said, longest_gap, is_alone)
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
    put_on_hold(said, false, longest_gap)
  elseif past.count > 0 and is_alone() then
    put_on_hold(said, true, longest_gap)
  end
end

-- What it means for the report: whether it `is_dead` of it, how often it was refused in all (`total`), whether others
-- `passed`, and what is to be remembered of it.
local function judge_refusal(id, began, ended, most_sends)
  local past = past_refusals(id)
  local first = past.count > 0 and past or { began = began, ended = ended }
  local passed = others_passed(first.began, first.ended)
  if passed and past.count > 0 then lane.alone = math.max(lane.alone or 0, first.began) end
  local number, total = past.count + 1, past.total + 1
  if not passed and is_about_all() then
    number = 0
  elseif past.count > 0 and (lane.mixed or 0) > first.ended then
    number, first = 1, { began = began, ended = ended }
  end
  return {
    is_dead = passed and (number >= SENDS or total >= most_sends), total = total, passed = passed, past = past,
    remembered = string.format('%d %d %d %d %d', number, first.began, first.ended, total, now),
  }
end
