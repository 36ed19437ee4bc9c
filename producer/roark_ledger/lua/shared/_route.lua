-- By which of Roark's ways in a report goes: `vapi` (POST /v1/vapi/call) or `call` (POST /v1/call). Two ways would make
-- two calls of one at Roark, so what was sent by one stays on it, be it tried again or replayed.
--
-- The way that is wanted is a setting of the workers, or what a person said since: lane.route. KEY.routes has
--   c  sent by `call`        v  sent by `vapi` (where nothing is noted and it was claimed before: `vapi`, too)
--   f  free: all that came of it so far were refusals, or it was never sent, so that Roark took it by no way; or a
--      person said so (`freed` in its history)
-- and behind it ! where an upload was given up half-way: nobody knows whether Roark took that one.

local WAYS = { c = 'call', v = 'vapi' }
local TAKEN = { reclaimed = true, delivered = true, poisoned = true, lost = true }

local function route_of(record, mark, wanted)
  local way = mark and WAYS[string.sub(mark, 1, 1)]
  if way then return way end
  local is_untouched = record.attempts == 0 and record.deaths == 0 and record.since == record.accepted
  return (mark or is_untouched) and wanted or 'vapi'
end

-- What is to be noted before it is sent; nothing where it goes without saying.
local function note_route(id, route, mark)
  if route == 'call' then
    if not mark or string.sub(mark, 1, 1) ~= 'c' then redis.call('HSET', KEY.routes, id, 'c') end
  elseif mark == 'f' then
    redis.call('HSET', KEY.routes, id, 'v')
  end
end

-- An upload was given up, and may have come through.
local function note_given_up(id)
  local mark = redis.call('HGET', KEY.routes, id) or 'v'
  if string.sub(mark, -1) ~= '!' then redis.call('HSET', KEY.routes, id, mark .. '!') end
end

local function may_be_taken(event, detail)
  if event == 'deferred' then return not string.find(detail, '"unsent":true', 1, true) end
  return TAKEN[event] or (event == 'buried' and string.sub(detail, 1, 9) ~= '{"sends":')
end

-- It was refused, or not sent at all. It is free for any way, unless Roark may have taken it another time.
local function note_refused(id)
  local mark = redis.call('HGET', KEY.routes, id)
  if mark and string.sub(mark, -1) == '!' then return end
  local is_taken = false
  for line in string.gmatch(redis.call('HGET', KEY.histories, id) or '', '[^\n]+') do
    local event, detail = string.match(line, '^%d+ (%S+) ?(.*)$')
    is_taken = event ~= 'freed' and (is_taken or may_be_taken(event, detail))
  end
  if is_taken then return end
  if mark ~= 'f' then redis.call('HSET', KEY.routes, id, 'f') end
end

-- Of what is delivered only the way by which not all go is worth keeping.
local function forget_routes(ids)
  if #ids == 0 or redis.call('EXISTS', KEY.routes) == 0 then return end
  local marks, gone = redis.call('HMGET', KEY.routes, unpack(ids)), {}
  for i, id in ipairs(ids) do
    if marks[i] and string.sub(marks[i], 1, 1) ~= 'c' then gone[#gone + 1] = id end
  end
  if #gone > 0 then redis.call('HDEL', KEY.routes, unpack(gone)) end
end
