-- What is known of the way to Roark, for all workers together, and how it is read and written.
--
-- It lies in the hash KEY.lane. `open_lane` reads it into the table `lane`, `close_lane` writes what changed there.
-- The rules come with each call as one string of numbers, in the order of flow.py.
--
--   hold      state, by, reason, since, probe_at, probe_gap        someone, or Roark's answers, stopped the lane
--   breaker   breaker_until, breaker_gap, breaker_since, evidence  too many attempts failed
--             failures, failures_before (JSON)                     their reasons and some calls, by windows
--             relapse                                              gap of the breaker that closed just now
--             window_at, good, bad, good_before, bad_before        outcomes, for the share of failures
--             run, run_since                                       failures since the last success
--             bad_began, lease (ms)                                the newest upload that failed; of an upload
--   probe     probe (`id token`), probed_at, stale, probe_from     the one upload that finds out
--   refusals  refused_since, refused, refused_row, refused_began, refused_ended, refusals (JSON), passed, passed_ended,
--             mixed, alone, lone, enough, enough_at                see _refusals.lua
--   pause     paused_until, paused_since                           Roark asked all of us to wait
--   rate      tat (us), pace, pace_at, second_at, second, second_before      see _rate.lua
--   level     limit, threshold, cut_at, pressed, rtt, base, seen, odd, begun, top, top_threshold,
--             was_begun, was_odd, was_from, closed_at, usual_n, usual_odd,
--             calm, busy, look_n, look_log                         see _level.lua
--   speed     speed_at, accepted, delivered, accepted_ps, delivered_ps       see _rate.lua
--   receipts  unnamed                                            share of late deliveries that Roark did not name
--   route     route                                              the way in, where a person switched it: see _route.lua
--   others    listening_until, turn, late_turn, last_claim, resumed, at (of the last change)
--   not here  memory_at, memory_used, memory_most, memory_rate, memory_short: see accept.lua
--             receipts_…: see receipts_turn.lua and receipts_note.lua
--             audit_by, audit_heard, audit_at, audit_…: see audit_turn.lua   promoted_at, rewinding: see promote.lua

local TIME, NUMBER, WORD = 1, 2, 3
local FIELD = {
  state = WORD, by = WORD, reason = WORD, probe = WORD, evidence = WORD, refusals = WORD, failures = WORD,
  failures_before = WORD, route = WORD,

  since = TIME, probe_at = TIME, breaker_until = TIME, breaker_since = TIME, window_at = TIME, run_since = TIME,
  paused_until = TIME, paused_since = TIME, pace_at = TIME, second_at = TIME, cut_at = TIME, pressed = TIME,
  closed_at = TIME, was_from = TIME, speed_at = TIME, listening_until = TIME, last_claim = TIME, resumed = TIME,
  probed_at = TIME, probe_from = TIME, bad_began = TIME,
  refused_since = TIME, refused_began = TIME, refused_ended = TIME, passed = TIME, passed_ended = TIME, mixed = TIME,
  alone = TIME, enough_at = TIME,

  at = NUMBER, probe_gap = NUMBER, breaker_gap = NUMBER, relapse = NUMBER, good = NUMBER, bad = NUMBER,
  good_before = NUMBER, bad_before = NUMBER, run = NUMBER, tat = NUMBER, pace = NUMBER, second = NUMBER,
  second_before = NUMBER, limit = NUMBER, threshold = NUMBER, rtt = NUMBER, base = NUMBER, seen = NUMBER,
  odd = NUMBER, begun = NUMBER, top = NUMBER, top_threshold = NUMBER, was_begun = NUMBER, was_odd = NUMBER,
  usual_n = NUMBER, usual_odd = NUMBER,
  calm = NUMBER, busy = NUMBER, look_n = NUMBER, look_log = NUMBER, accepted = NUMBER, delivered = NUMBER,
  unnamed = NUMBER, accepted_ps = NUMBER, delivered_ps = NUMBER, turn = NUMBER, late_turn = NUMBER,
  refused = NUMBER, refused_row = NUMBER, lone = NUMBER, stale = NUMBER, enough = NUMBER,
  lease = NUMBER,
}

local lane, lane_was = {}, {}
local clock_went_back = false

-- The server's clock was set back (or another server took over): all times in the lane go back with it, or an
-- hour's error would be an hour's pause.
local function set_back(ms)
  clock_went_back = true
  for name, value in pairs(lane) do
    if FIELD[name] == TIME then lane[name] = value - ms end
  end
  if lane.tat then lane.tat = lane.tat - ms * 1000 end
end

local function open_lane()
  -- All of it at once: to look for each field by itself costs twice as much, a small hash is searched from its start.
  local fields = redis.call('HGETALL', KEY.lane)
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    local kind = FIELD[name]
    if kind then
      if kind ~= WORD then value = tonumber(value) end
      lane[name] = value
      lane_was[name] = value
    end
  end
  if lane.at and lane.at > now then set_back(lane.at - now) end
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
