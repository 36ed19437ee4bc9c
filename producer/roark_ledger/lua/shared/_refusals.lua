-- Refusals that may be true for all of us (token, credits, URL), or for one report alone: what tells them apart.
--
-- A refused report waits for some seconds, without an attempt being counted, and is sent again. Then either
--
--   it is delivered                         it was not the report's fault
--   others are, and it is refused again     it is the report's own matter: after three sends a dead letter
--   nobody is                               it is about all of us: the lane is held, and different reports probe
--
-- "Others are" means: an upload that began no earlier than the refused one, and ended after it, was good. Good answers
-- that are slow, from before, prove nothing.
--
-- The lane is held when several different reports were refused in a row (`refused_row`, nothing delivered between), or
-- more of them (`refused`) while no other passed in that sense. A hold that a probe ended at once was a false alarm, and
-- the next one wants twice as many. A report that was refused twice when there is no other to ask holds the lane, too:
-- somebody should hear of it.
--
-- What is sent again and delivered says that refusals come and go (`mixed`): all others begin to count anew.
--
-- KEY.refused: call id -> `count began ended total last`: how often it was refused, without what happened while the lane
-- was held or refusals came and went; when the first of these uploads began and ended (ms); how often in all; when last.

local FEW, MANY, IN_ALL = 3, 16, 3
local FALSE_ALARM_MS, REMEMBERED_MS = 60000, 600000
local EXAMPLES, LOOKED_AT = 3, 10

-- Evidence is JSON: how often each reason was met, and a few of the calls. Both functions return it with more in it.
local function added_evidence(text, other)
  if not (text and other) then return text or other end
  local found, more = cjson.decode(text), cjson.decode(other)
  for reason, number in pairs(more.reasons) do found.reasons[reason] = (found.reasons[reason] or 0) + number end
  for _, id in ipairs(more.calls) do
    local known = #found.calls >= EXAMPLES
    for _, one in ipairs(found.calls) do known = known or one == id end
    if not known then found.calls[#found.calls + 1] = id end
  end
  return cjson.encode(found)
end

local function more_evidence(text, reason, id)
  return added_evidence(text, cjson.encode({ reasons = { [reason] = 1 }, calls = { id } }))
end

local function is_in_evidence(text, reason)
  return text and cjson.decode(text).reasons[reason] ~= nil
end

local function no_refusals()
  lane.refused_since, lane.refused, lane.refused_row, lane.refusals = nil, nil, nil, nil
  lane.refused_began, lane.refused_ended = nil, nil
end

local function past_refusals(id)
  local text = redis.call('HGET', KEY.refused, id)
  local count, began, ended, total, last = string.match(text or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not count then return { count = 0, total = 0, last = -1 } end
  return {
    count = tonumber(count), began = tonumber(began), ended = tonumber(ended), total = tonumber(total),
    last = tonumber(last),
  }
end

-- Whether another report passed that was sent no earlier than an upload and answered after it, or that is known of
-- one that was sent together with it.
local function others_passed(began, ended)
  if (lane.alone or -1) >= began then return true end
  return (lane.passed or -1) >= began and lane.passed_ended > ended
end

-- Whether what holds the lane is said of all of us, and not of the one report that there is.
local function is_about_all() return lane.state == LANE.held and lane.by == 'roark' and not lane.lone end

-- How many different reports, refused in a row, hold the lane.
local function enough()
  if now - (lane.enough_at or 0) > REMEMBERED_MS then return FEW end
  return lane.enough or FEW
end

-- A probe ended the hold: when that was soon, it took too little to put it.
local function learn_from_hold()
  if lane.by ~= 'roark' or lane.lone then return end
  if now - (lane.since or now) > FALSE_ALARM_MS then
    lane.enough, lane.enough_at = nil, nil
  else
    lane.enough, lane.enough_at = math.min(2 * enough(), MANY), now
  end
end

-- Takes note of reports that were delivered; the last of their uploads began and ended at these times. Returns true when
-- they show that the lane need not have been held.
local function note_passed(began, ended, ids)
  if began >= (lane.passed or 0) then
    lane.passed_ended = began == lane.passed and math.max(lane.passed_ended, ended) or ended
    lane.passed = began
  end
  if redis.call('HLEN', KEY.refused) > 0 and redis.call('HDEL', KEY.refused, unpack(ids)) > 0 then lane.mixed = now end
  if not lane.refused_since then return end
  lane.refused_row = 0
  if not others_passed(lane.refused_began, lane.refused_ended) then return end
  if lane.state == LANE.held then return lane.by == 'roark' end
  no_refusals()
end

-- The ready report that is to be the next probe, and its queue: one that was never refused, or least lately.
local function probe_of_all()
  local fallback
  for _, queue in ipairs(QUEUES) do
    local head = redis.call('ZRANGE', KEY[queue], 0, LOOKED_AT - 1, 'WITHSCORES')
    for i = 1, #head, 2 do
      local found = { id = head[i], score = head[i + 1], queue = queue, last = past_refusals(head[i]).last }
      if found.last < 0 then return found end
      if not fallback or found.last < fallback.last then fallback = found end
    end
  end
  return fallback
end
