#!lua flags=allow-oom
-- Takes note of what there is an alert about, and gives the caller the messages that are its turn to send.
--
-- A kind is raised when its cause is there, and recovered when the cause was away for a while. Each change owes a
-- message, and so does another cause; while the alert lasts it is repeated now and then. A message is one worker's turn at a time: when that does
-- not say in time that it was sent (alert_sent.lua), because it died or nobody took the message, it is the next one's,
-- after a pause that doubles.
--
-- KEY.alerts holds for each kind a JSON object: phase, since, ended, calm (since when the cause is away), message,
-- causes (those that were told of, parted by blanks), owed (`raised` or `recovered`, left out when nothing is), tries, token, turn_until, told.
--
-- ARGV  1 now   2 lease (ms): how long a turn lasts at first   3 calm (ms): how long a cause is away before it is over
--       4 repeat (ms), 0 for never   5 may send: 1, or 0 for a caller that only takes note
--       then for each kind: kind, message (JSON) or empty where there is no cause
-- Returns for each turn { kind, `raised` or `recovered`, token, since (ms), ended (ms) or 0, message }.

local LONGEST_PAUSE = 600000

local lease, calm, again, may_send = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local turns = {}

local function owe(alert, what)
  alert.owed, alert.tries, alert.turn_until = what, 0, 0
end

-- Whether the cause is another one than those that were told since it was raised, and from now on one of them.
local function is_new_cause(alert, message)
  local cause = cjson.decode(message).cause
  -- A version from before does not say.
  if not cause or cause == '' then return false end
  local word = ' ' .. cause .. ' '
  local known = alert.causes or ' '
  if string.find(known, word, 1, true) then return false end
  alert.causes = known .. cause .. ' '
  return known ~= ' '
end

local function take_note(alert, message)
  if message ~= '' then
    alert.message, alert.calm = message, nil
    if alert.phase ~= 'raised' then
      alert.phase, alert.since, alert.ended, alert.told, alert.causes = 'raised', now, nil, nil, nil
      is_new_cause(alert, message)
      owe(alert, 'raised')
    elseif is_new_cause(alert, message) then
      owe(alert, 'raised')
    elseif again > 0 and not alert.owed and now - (alert.told or now) >= again then
      owe(alert, 'raised')
    end
  elseif alert.phase == 'raised' then
    alert.calm = math.min(alert.calm or now, now)
    if now - alert.calm >= calm then
      alert.phase, alert.ended, alert.calm = 'recovered', alert.calm, nil
      -- Nobody heard of it, and nobody was about to: then nobody needs to hear that it is over.
      if alert.owed and alert.tries == 0 and not alert.told then alert.owed = nil else owe(alert, 'recovered') end
    end
  end
end

local function take_turn(kind, alert)
  if not (may_send and alert.owed) then return end
  -- A turn that ends later than any can was given before the clock was set back.
  if alert.turn_until > now and alert.turn_until <= now + LONGEST_PAUSE then return end
  alert.turn_until = now + math.min(lease * 2 ^ alert.tries, LONGEST_PAUSE)
  alert.tries = alert.tries + 1
  alert.token = redis.call('HINCRBY', KEY.counters, 'alert_token', 1)
  turns[#turns + 1] = { kind, alert.owed, alert.token, alert.since, alert.ended or 0, alert.message }
end

for i = 6, #ARGV, 2 do
  local kind, message = ARGV[i], ARGV[i + 1]
  local text = redis.call('HGET', KEY.alerts, kind)
  if text or message ~= '' then
    local alert = text and cjson.decode(text) or {}
    take_note(alert, message)
    take_turn(kind, alert)
    local changed = cjson.encode(alert)
    if changed ~= text then redis.call('HSET', KEY.alerts, kind, changed) end
  end
end
return turns
