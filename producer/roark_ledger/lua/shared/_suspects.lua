-- Suspects: reports that would be poison at the next death. One is out at a time, ready or uploading, until it has an
-- outcome or SUSPECT_MS are over: the one that kills its workers must not take with it, once more, all that happened to
-- be in the same hands. The others wait, with deaths on record, which nothing else that waits has.

local SUSPECT_MS, APART_MS = 15000, 250

local function is_suspect_out()
  local out = redis.call('HMGET', KEY.lane, 'suspect', 'suspect_at')
  if not out[1] or math.abs(now - tonumber(out[2])) > SUSPECT_MS then return false end
  local record = read(out[1])
  return record.deaths and record.deaths > 0 and (record.state == 'ready' or record.state == 'uploading')
end

local function let_out(id)
  redis.call('HSET', KEY.lane, 'suspect', id, 'suspect_at', now)
end
