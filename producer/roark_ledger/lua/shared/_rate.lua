-- How many uploads may start in a time, and how fast the lane is.
--
-- 1. The limit that was set holds exactly: GCRA, one number (`tat`, us) that moves on by an interval per upload.
-- 2. The limit that Roark's 429s show is learned, as a *pace*: from 85 % of what was let through in the last second
--    it comes back to that within 5 s, stays near it, and then rises ever faster (a cubic, as TCP's and AWS's SDKs
--    have), so that a limit that is gone is forgotten in a minute. It depends on nothing but the time since.
--    One second's 429s are one sign: Roark counts by the second, or by longer times.
-- 3. Once a second the counters of accepted and delivered reports are compared with those of the last time: the
--    mean speeds from which the end of a backlog can be told.
--
-- A script has 200 locals at the most: only these are seen outside of the block.

local by_rate, charge_rate, pause, too_fast, measure_speed
do

local PACE_CUT = 0.15
local PACE_BACK_SECONDS = 5
local PACE_FORGOTTEN_MS = 120000
local PACE_BURST_SECONDS = 0.05
local SPEED_EVERY_MS, SPEED_MEAN_MS, SPEED_STALE_MS = 1000, 15000, 120000

-- The learned pace in uploads per second, nil where there is none.
local function pace_now()
  if not lane.pace or now - lane.pace_at > PACE_FORGOTTEN_MS then return nil end
  local seconds = math.max(0, now - lane.pace_at) / 1000
  return lane.pace * (1 + PACE_CUT * (seconds / PACE_BACK_SECONDS - 1) ^ 3)
end

-- The stricter one of both limits: us between two uploads (0: no limit), and how many may start at once.
local function rate_limit(rules)
  local pace = pace_now()
  if not pace or 1000000 / pace <= rules.interval then return rules.interval, rules.burst end
  return 1000000 / pace, math.max(1, math.floor(pace * PACE_BURST_SECONDS))
end

-- How many uploads the rate lets start now, and if none, in how many ms the next one.
function by_rate(rules)
  local interval, burst = rate_limit(rules)
  if interval == 0 then return math.huge, 0 end
  -- Never further ahead than a whole burst, whatever an earlier rule, or an earlier pace, has left behind.
  local ahead = math.min(math.max(0, (lane.tat or 0) - now * 1000), burst * interval)
  local granted = math.floor((burst * interval - ahead) / interval + 0.000001)
  if granted >= 1 then return granted, 0 end
  return 0, math.max(1, math.ceil((ahead - (burst - 1) * interval) / 1000))
end

-- Counts uploads by the second in which they started.
local function count_started(number)
  local age = now - (lane.second_at or 0)
  if age >= 1000 then
    lane.second_before = age < 2000 and lane.second or 0
    lane.second_at = age < 2000 and lane.second_at + 1000 or now
    lane.second = 0
  end
  lane.second = (lane.second or 0) + number
end

function charge_rate(rules, number)
  count_started(number)
  local interval, burst = rate_limit(rules)
  if interval == 0 then return end
  local ahead = math.min(math.max(0, (lane.tat or 0) - now * 1000), burst * interval)
  lane.tat = now * 1000 + ahead + number * interval
end

-- Uploads that were let through in the last second; of the second before this one, what reaches into it.
local function let_through()
  count_started(0)
  local age = now - lane.second_at
  return math.max(0, lane.second) + math.max(0, lane.second_before or 0) * (1000 - age) / 1000
end

-- Roark asked all of us to wait.
function pause(ms)
  if ms <= 0 or (lane.paused_until or 0) >= now + ms then return end
  if (lane.paused_until or 0) <= now then lane.paused_since = now end
  lane.paused_until = now + ms
end

-- Roark refused uploads because we are too fast; `freshly`: also some that started after it was last learned.
-- Returns true where that is news. A pause that Roark asks for is no time in which the pace may rise.
function too_fast(refused, freshly)
  if refused == 0 then return false end
  count_started(-refused)
  if not freshly or now - (lane.pace_at or 0) < 1000 then return false end
  local through, top = let_through(), pace_now()
  if through > 0 then
    lane.pace = math.min(top or through, through)
  else
    lane.pace = top and top / 2 or 1
  end
  -- What a burst took of a second that has just begun has to be waited for.
  if (lane.second_before or 0) <= 0 then pause(lane.second_at + 1000 - now) end
  lane.pace_at = math.max(now, lane.paused_until or 0)
  return true
end

function measure_speed()
  local passed = now - (lane.speed_at or 0)
  if passed < SPEED_EVERY_MS then return end
  local counts = redis.call('HMGET', KEY.counters, 'accepted', 'delivered')
  local accepted, delivered = tonumber(counts[1] or 0), tonumber(counts[2] or 0)
  if passed > SPEED_STALE_MS or not lane.delivered then
    lane.accepted_ps, lane.delivered_ps = nil, nil
  else
    local weight = lane.delivered_ps and 1 - math.exp(-passed / SPEED_MEAN_MS) or 1
    local function mean(before, moved) return before and before + (moved - before) * weight or moved end
    lane.accepted_ps = mean(lane.accepted_ps, math.max(0, accepted - lane.accepted) * 1000 / passed)
    lane.delivered_ps = mean(lane.delivered_ps, math.max(0, delivered - lane.delivered) * 1000 / passed)
  end
  lane.speed_at, lane.accepted, lane.delivered = now, accepted, delivered
end

end
