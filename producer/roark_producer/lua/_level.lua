-- How many uploads may be in flight, over all workers: a level that is found by itself.
--
-- 1. While the level is what holds us back, it rises: by one with each delivery (doubling with each round) up to
--    `threshold`; above it by one with each round or 40 deliveries, and the faster, the longer ago the last cut is.
--    So a low level is not cut each few deliveries, and what was too much an hour ago is tried again soon.
-- 2. Overload (503, 504, timeouts, and what teaches a pace) cuts it by 30 %, which is the new threshold. An upload
--    that had started before the last cut tells nothing new, so one overload makes one cut, however many answers
--    it comes in. Overload that goes on though the level was cut, and that is less than a tenth of the answers, is none:
--    some answers are bad then, whatever the level. They move nothing as long as they are so few.
-- 3. When answers take more than twice as long as usual, we look whether that is because of us: the level goes down
--    to a quarter until some uploads that started there have come back. If they were faster, it was us, and we go on
--    at 80 %. If not, Roark is slower now: that is what is usual from here on, and the level comes back. So slowness
--    of Roark's own does not bring the lane to a halt.
--
-- "How long" is a geometric mean (`rtt`, ms), which one late answer in a hundred does not move.

local FIRST_LIMIT, SLOW_START = 32, 4
local FEWEST_A_ROUND, FASTER_SECONDS = 40, 10
local LOOK_AT = 20
local REMEMBERED_PRESSURE_MS = 2000
local FEWEST_GOOD_EACH, CUT_HELPED, ENOUGH_TO_TELL = 10, 0.8, 4
local SEEN_LATELY, LONG_QUIET = 400, 1000

local timed = { number = 0, logs = 0 }

-- How many uploads may be in flight now.
local function level(rules)
  return math.min(lane.limit or (rules.adaptive and FIRST_LIMIT or rules.ceiling), rules.ceiling)
end

-- The level, and not the supply, held uploads back.
local function press()
  -- Not written each time: with fsync on every write, a refused claim should cost none.
  if (lane.pressed or 0) < now - 50 then lane.pressed = now end
end

local function is_pressed()
  return lane.pressed and now - lane.pressed <= (lane.rtt or 0) + 200
end

-- Takes note of how long one upload took.
local function time_answer(began, ms)
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
  lane.seen, lane.odd = 0, nil
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

local function rise(rules, number)
  local limit = level(rules)
  local fast = limit < (lane.threshold or rules.ceiling) and lane.rtt <= 1.5 * lane.base + 20
  local seconds = (now - (lane.cut_at or now)) / 1000
  local each = (1 + (seconds / FASTER_SECONDS) ^ 2) / math.max(limit, FEWEST_A_ROUND)
  lane.limit = math.min(rules.ceiling, limit + number * (fast and 1 or math.min(each, 1)))
end

-- Uploads that came back well.
local function went_well(rules, number)
  if number == 0 then return end
  if not rules.adaptive then
    -- A fixed level has only the slow start after a breaker to come back from.
    if lane.limit then lane.limit = lane.limit + number end
    if lane.limit and lane.limit >= rules.ceiling then lane.limit = nil end
    return
  end
  learn_times(timed.number, math.exp(timed.logs / timed.number))
  lane.seen = (lane.seen or 0) + number
  local limit = level(rules)
  if lane.calm then
    if (lane.look_n or 0) >= LOOK_AT then end_look() end
  elseif lane.rtt > 2 * lane.base + 50 then
    if lane.seen < math.max(LOOK_AT, limit) then return end
    if limit > 2 then begin_look(limit) else lane.base = lane.rtt end
  elseif is_pressed() then
    rise(rules, number)
  end
end

-- Whether so many answers that speak of overload came by chance, and not because of the level.
local function is_by_chance(rules, number)
  local seen = lane.seen or 0
  if seen > LONG_QUIET then lane.by_chance = nil end
  lane.odd = (lane.odd or 0) + number
  local few = seen >= FEWEST_GOOD_EACH * lane.odd
  if lane.by_chance then
    few = few or lane.odd < ENOUGH_TO_TELL
  else
    few = few and level(rules) < CUT_HELPED * (lane.cut_from or 0)
  end
  lane.by_chance = few and 1 or nil
  if few and seen > SEEN_LATELY then lane.seen, lane.odd = seen / 2, lane.odd / 2 end
  return few
end

-- Roark is overloaded.
local function went_badly(rules)
  if not rules.adaptive or lane.breaker_until then return end
  lane.cut_from = level(rules)
  go_to(lane.cut_from * 0.7, lane.cut_from * 0.7)
end

-- After a breaker or a hold: from 4 at once, doubling with each round, up to half of what it was.
local function start_slowly()
  go_to(SLOW_START, math.max(2 * SLOW_START, (lane.limit or FIRST_LIMIT) / 2))
end
