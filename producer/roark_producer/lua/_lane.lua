-- What is known of the way to Roark, for all workers together, and how it is read and written.
--
-- It lies in the hash KEY.lane. `open_lane` reads it into the table `lane`, `close_lane` writes what changed there.
-- The rules come with each call as one string of numbers, in the order of flow.py.
--
--   hold      state, by, reason, since, probe_at, probe_gap        someone, or Roark's answers, stopped the lane
--   breaker   breaker_until, breaker_gap, breaker_since, evidence  too many attempts failed
--             relapse                                              gap of the breaker that closed just now
--             window_at, good, bad, good_before, bad_before        outcomes, for the share of failures
--             run, run_since                                       failures since the last success
--   probe     probe (`id token`)                                   the one upload that finds out
--   pause     paused_until, paused_since                           Roark asked all of us to wait
--   rate      tat (us), pace, pace_at, second_at, second, second_before      see _rate.lua
--   level     limit, threshold, cut_at, pressed, rtt, base, seen,
--             calm, busy, look_n, look_log                         see _level.lua
--   speed     speed_at, accepted, delivered, accepted_ps, delivered_ps       see _rate.lua
--   others    listening_until, turn, late_turn, last_claim, resumed, at (of the last change)
--   not here  memory_at, memory_used, memory_most, memory_rate, memory_short: see accept.lua
--             audit_by, audit_heard, audit_at, audit_…: see audit_turn.lua   promoted_at, rewinding: see promote.lua

local TIMES = {
  'since', 'probe_at', 'breaker_until', 'breaker_since', 'window_at', 'run_since', 'paused_until', 'paused_since',
  'pace_at', 'second_at', 'cut_at', 'pressed', 'speed_at', 'listening_until', 'last_claim', 'resumed',
}
local NUMBERS = {
  'at', 'probe_gap', 'breaker_gap', 'relapse', 'good', 'bad', 'good_before', 'bad_before', 'run', 'tat', 'pace',
  'second', 'second_before', 'limit', 'threshold', 'rtt', 'base', 'seen', 'calm', 'busy', 'look_n', 'look_log',
  'accepted', 'delivered', 'accepted_ps', 'delivered_ps', 'turn', 'late_turn', unpack(TIMES),
}
local WORDS = { 'state', 'by', 'reason', 'probe', 'evidence' }

local lane, lane_was = {}, {}
local clock_went_back = false

local function open_lane()
  local numbers = redis.call('HMGET', KEY.lane, unpack(NUMBERS))
  for i, name in ipairs(NUMBERS) do lane[name] = tonumber(numbers[i] or nil) end
  local words = redis.call('HMGET', KEY.lane, unpack(WORDS))
  for i, name in ipairs(WORDS) do lane[name] = words[i] or nil end
  for name, value in pairs(lane) do lane_was[name] = value end
  -- The server's clock was set back (or another server took over): all that lies in the lane goes back with it,
  -- or an hour's error would be an hour's pause.
  local back = (lane.at or now) - now
  if back > 0 then
    clock_went_back = true
    for _, name in ipairs(TIMES) do
      if lane[name] then lane[name] = lane[name] - back end
    end
    if lane.tat then lane.tat = lane.tat - back * 1000 end
  end
end

local function as_text(value)
  if type(value) ~= 'number' then return value end
  return value % 1 == 0 and string.format('%.0f', value) or string.format('%.6f', value)
end

local function close_lane()
  local set, gone = {}, {}
  for name, value in pairs(lane) do
    if lane_was[name] ~= value then
      set[#set + 1] = name
      set[#set + 1] = as_text(value)
    end
  end
  for name in pairs(lane_was) do
    if lane[name] == nil then gone[#gone + 1] = name end
  end
  if #gone > 0 then redis.call('HDEL', KEY.lane, unpack(gone)) end
  if #set + #gone > 0 then redis.call('HSET', KEY.lane, 'at', now, unpack(set)) end
end

local function flow_rules(text)
  local n = {}
  for word in string.gmatch(text, '%S+') do n[#n + 1] = tonumber(word) end
  return {
    interval = n[1], burst = n[2], ceiling = n[3], adaptive = n[4] == 1, window = n[5], least = n[6],
    share = n[7], cooldown = n[8], longest_cooldown = n[9],
  }
end
