-- How many uploads may be in flight, over all workers: a level that is found by itself.
--
-- 1. While the level is what holds us back, it rises: by one with each delivery (doubling with each round) up to
--    `threshold`; above it by one with each round or 40 deliveries, and the faster, the longer ago the last cut is.
--    So a low level is not cut each few deliveries, and what was too much an hour ago is tried again soon.
-- 2. Overload (503, 504, timeouts, and what teaches a pace) cuts it by 30 %, which is the new threshold. An upload
--    that had started before the last cut tells nothing new, so one overload makes one cut, however many answers
--    it comes in.
--    A cut is a trial: of the uploads that start after it, for two rounds, the share that is bad is compared with the
--    share before it. If it is half of that or more, the level was not why: we go back to where we were at once, and
--    such a share is usual from here on. If not, the cut was right. Only what is more than usual, and more than chance
--    makes of it, is overload. So each cut learns, at Roark's own word, whether fewer in flight deliver more; and a
--    needless one costs 30 % for two rounds. Where most are bad, no share is usual.
-- 3. When answers take more than twice as long as usual, we look whether that is because of us: the level goes down
--    to a quarter until some uploads that started there have come back. If they were faster, it was us, and we go on
--    at 80 %. If not, Roark is slower now: that is what is usual from here on, and the level comes back. So slowness
--    of Roark's own does not bring the lane to a halt.
--
-- "How long" is a geometric mean (`rtt`, ms), which one late answer in a hundred does not move.
--
-- A script has 200 locals at the most: only these are seen outside of the block.

local FIRST_LIMIT, SLOW_START = 32, 4
local level, press, time_answer, count_begun, is_fresh, went_well, came_back, went_too_fast, start_slowly
do

local FEWEST_A_ROUND, FASTER_SECONDS = 40, 10
local LOOK_AT = 20
local REMEMBERED_PRESSURE_MS = 2000
local CUT = 0.7
local TRIAL_ROUNDS, FEWEST_TRIED, ENOUGH_CAME_BACK = 2, 60, 0.97
local MOST_TRIED, SMALL_SHARE, NEAR_TOP, FEW_ARE_BAD = 240, 0.02, 0.85, 0.1
local AS_BAD_AS_BEFORE, MOST_ARE_BAD, DEVIATIONS = 0.35, 0.5, 3
local BEGUN_LATELY, USUAL_LATELY = 400, 800

local timed = { number = 0, logs = 0 }

-- How many uploads may be in flight now.
function level(rules)
  return math.min(lane.limit or (rules.adaptive and FIRST_LIMIT or rules.ceiling), rules.ceiling)
end

-- The level, and not the supply, held uploads back.
function press()
  -- Not written each time: with fsync on every write, a refused claim should cost none.
  if (lane.pressed or 0) < now - 50 then lane.pressed = now end
end

local function is_pressed()
  return lane.pressed and now - lane.pressed <= (lane.rtt or 0) + 200
end

-- Takes note of how long one upload took.
function time_answer(began, ms)
  local log = math.log(math.max(1, ms))
  timed.number = timed.number + 1
  timed.logs = timed.logs + log
  if lane.calm and began > lane.cut_at then
    lane.look_n = (lane.look_n or 0) + 1
    lane.look_log = (lane.look_log or 0) + log
  end
end

local function towards(value, target, weight) return value * (target / value) ^ weight end

local function learn_times(number, usual)
  lane.rtt = lane.rtt and towards(lane.rtt, usual, 1 - 0.95 ^ number) or usual
  if not lane.base or lane.rtt < lane.base / 2 then
    lane.base = lane.rtt
  elseif not lane.pressed or now - lane.pressed > REMEMBERED_PRESSURE_MS + 4 * lane.rtt then
    -- So little in flight is not what makes answers slow.
    lane.base = towards(lane.base, lane.rtt, 1 - 0.99 ^ number)
  end
end

local function go_to(limit, threshold)
  lane.limit = math.max(1, limit)
  lane.threshold = math.max(1, threshold)
  lane.cut_at = now
  lane.seen, lane.odd, lane.begun = 0, nil, nil
  lane.top, lane.top_threshold, lane.was_begun, lane.was_odd, lane.was_from, lane.closed_at = nil, nil, nil, nil, nil, nil
  lane.calm, lane.busy, lane.look_n, lane.look_log = nil, nil, nil, nil
end

local function begin_look(limit)
  go_to(limit / 4, limit / 4)
  lane.calm, lane.busy = limit, lane.rtt
end

local function end_look()
  local calm, busy = lane.calm, lane.busy
  lane.rtt = math.exp(lane.look_log / lane.look_n)
  lane.base = lane.rtt
  if busy > 1.5 * lane.base then
    go_to(calm * 0.8, calm * 0.8)
  else
    go_to(lane.limit, 2 * calm)
  end
end

local function is_doubling(rules) return level(rules) < (lane.threshold or rules.ceiling) end

local function rise(rules, number)
  local limit = level(rules)
  local fast = is_doubling(rules) and lane.rtt <= 1.5 * lane.base + 20
  local seconds = (now - (lane.cut_at or now)) / 1000
  local each = (1 + (seconds / FASTER_SECONDS) ^ 2) / math.max(limit, FEWEST_A_ROUND)
  lane.limit = math.min(rules.ceiling, limit + number * (fast and 1 or math.min(each, 1)))
end

local function usual_share()
  local n = lane.usual_n or 0
  return n > 0 and math.min((lane.usual_odd + 0.5) / (n + 1), MOST_ARE_BAD) or 0
end

-- How many uploads tell whether a cut helped: the more, the less the share before it differs from what is usual.
local function enough_to_tell()
  local least = math.max(FEWEST_TRIED, TRIAL_ROUNDS * lane.limit)
  local before, usual = lane.was_odd / math.max(1, lane.was_begun), usual_share()
  if usual < SMALL_SHARE or before <= usual then return least end
  return math.max(least, math.min(MOST_TRIED, 6 * before * (1 - before) / (before - usual) ^ 2))
end

-- Counts uploads that start. What is still out is taken for good until it comes back, so bad answers that come quickly,
-- while good ones take their time, are not taken for many. A trial is made of the first ones after the cut.
function count_begun(rules, number)
  if not rules.adaptive or lane.closed_at then return end
  lane.begun = (lane.begun or 0) + number
  if lane.top then
    if lane.begun >= enough_to_tell() or lane.limit > NEAR_TOP * lane.top then lane.closed_at = now end
    return
  end
  if lane.begun < BEGUN_LATELY then return end
  -- Half of what has come back is forgotten, and nothing of what is out: else its bad ones would come on top of that half.
  local out = redis.call('ZCARD', KEY.uploading)
  local back, odd = lane.begun - out, lane.odd or 0
  if back < BEGUN_LATELY then return end
  if odd < 0.7 * usual_share() * back then lane.usual_n, lane.usual_odd = back, odd end
  lane.begun, lane.odd = out + back / 2, odd / 2
end

-- Whether an upload that began then tells of the level as it is now.
function is_fresh(began)
  return began > (lane.cut_at or 0) and began <= (lane.closed_at or now)
end

-- Learns from uploads that were not too many how large a share is bad whatever the level.
local function learn_usual(begun, odd)
  local n, known = lane.usual_n or 0, lane.usual_odd or 0
  if n > USUAL_LATELY then n, known = n / 2, known / 2 end
  -- Far fewer than ever: what was usual is over, or was mistaken for it.
  if odd * n < 0.5 * known * begun then n, known = 0, 0 end
  lane.usual_n, lane.usual_odd = n + begun, known + odd
end

local function is_more_than_usual(begun, odd)
  local share = usual_share()
  local unsure = 1 + begun / math.max(1, lane.usual_n or 0)
  return odd > begun * share + DEVIATIONS * math.sqrt(begun * share * (1 - share) * unsure)
end

local function cut(rules)
  local limit, threshold = level(rules), lane.threshold or rules.ceiling
  local top, top_threshold = lane.top or limit, lane.top_threshold or threshold
  local odd = (lane.was_odd or 0) + (lane.odd or 0)
  local begun = math.max((lane.was_begun or 0) + (lane.begun or 0), odd)
  local from = lane.was_from or lane.cut_at or 0
  -- It had doubled since it was good.
  local lower = limit * (lane.limit and limit < threshold and 0.5 or CUT)
  go_to(lower, lower)
  lane.top, lane.top_threshold = top, top_threshold
  lane.was_begun, lane.was_odd, lane.was_from = begun, odd, from
end

-- Where the level doubles, what is too much shows at once; one bad answer there would leave us far below for long.
local function is_overload(rules, begun, odd)
  local few = is_doubling(rules) and begun * SMALL_SHARE + DEVIATIONS * math.sqrt(begun * SMALL_SHARE) or 0
  return odd > few and is_more_than_usual(begun, odd)
end

-- Says what a cut was good for, as soon as what started first after it has come back.
local function judge(rules)
  local odd = lane.odd or 0
  local begun = math.max(lane.begun or 0, odd)
  local all = lane.was_begun + begun
  local most = lane.was_odd + odd >= math.min(all, MOST_ARE_BAD * all + math.sqrt(all))
  if odd > 0 and most or odd >= 5 and odd > 0.6 * begun then return cut(rules) end
  if not lane.closed_at then return end
  local is_late = now > lane.closed_at + 4 * (lane.rtt or 0) + 1000
  if lane.seen + odd < (is_late and 0.5 or ENOUGH_CAME_BACK) * begun then return end
  local before, after, usual = lane.was_odd / math.max(1, lane.was_begun), odd / begun, usual_share()
  local by_chance = odd > 0 and after - usual >= AS_BAD_AS_BEFORE * (before - usual) and before <= MOST_ARE_BAD
  if not by_chance and lane.usual_n and is_more_than_usual(begun, odd) then return cut(rules) end
  learn_usual(begun, odd)
  if by_chance then return go_to(lane.top, lane.top_threshold) end
  -- Half was more than needed where few were bad.
  local limit = odd == 0 and before < FEW_ARE_BAD and math.max(lane.limit, CUT * lane.top) or lane.limit
  go_to(limit, limit)
end

-- Uploads that came back well.
function went_well(rules, number)
  if number == 0 then return end
  if not rules.adaptive then
    -- A fixed level has only the slow start after a breaker to come back from.
    if lane.limit then lane.limit = lane.limit + number end
    if lane.limit and lane.limit >= rules.ceiling then lane.limit = nil end
    return
  end
  learn_times(timed.number, math.exp(timed.logs / timed.number))
  local limit = level(rules)
  if lane.calm then
    if (lane.look_n or 0) >= LOOK_AT then end_look() end
  elseif lane.rtt > 2 * lane.base + 50 then
    if (lane.seen or 0) < math.max(LOOK_AT, limit) then return end
    if limit > 2 then begin_look(limit) else lane.base = lane.rtt end
  elseif is_pressed() and not (lane.top and lane.odd) then
    rise(rules, number)
  end
end

-- Uploads that came back: `fine` ones that do not speak of overload, `odd` ones that do, both from the time that
-- is_fresh says, and odd ones from before the last cut.
function came_back(rules, fine, odd, late)
  if not rules.adaptive or lane.breaker_until then return end
  lane.seen = (lane.seen or 0) + fine
  if odd > 0 then lane.odd = (lane.odd or 0) + odd end
  if lane.top then
    lane.was_odd = lane.was_odd + late
    judge(rules)
  elseif odd > 0 and is_overload(rules, math.max(lane.begun or 0, lane.odd), lane.odd) then
    cut(rules)
  end
end

-- Roark says that we are too fast: no trial is needed.
function went_too_fast(rules)
  if not rules.adaptive or lane.breaker_until then return end
  local limit = level(rules)
  go_to(limit * CUT, limit * CUT)
end

-- After a breaker or a hold: from 4 at once, doubling with each round, up to half of what it was.
function start_slowly()
  go_to(SLOW_START, math.max(2 * SLOW_START, (lane.limit or FIRST_LIMIT) / 2))
end

end
