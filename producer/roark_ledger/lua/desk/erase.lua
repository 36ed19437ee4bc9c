#!lua flags=allow-oom
-- Removes everything that the ledger knows of a call and leaves a keyed hash of its id, so that a late report of it
-- is refused. The logbook tells of it by that hash.
--
-- needs _examples.lua
--
-- ARGV  1 now   2, 3 pads of the key to use if the ledger has none yet (see tombstones.py)   4 who (JSON)   5 call id
-- Returns { state, tombstone, what was removed … }: the state that the call was in, `unknown` for one never seen,
-- `erased` for one erased before.

local id = ARGV[5]
make_erase_key(ARGV[2], ARGV[3])
local was_erased = is_erased(id)
local record = read(id)
local removed = {}

if record.state ~= 'unknown' then
  local from = place(record)
  if from then redis.call('ZREM', from, id) else no_longer_delivered(id) end
  removed[1] = 'place: ' .. record.state
  redis.call('ZREM', KEY.perishable, id)
  redis.call('ZREM', KEY.fading, id)
  redis.call('ZREM', KEY.silent, id)
  if leave_selection(id, 'erase') then removed[#removed + 1] = 'replay job' end
  if replay_ended(id, 'erased') then removed[#removed + 1] = 'replay job' end
  for _, name in ipairs(drop(id)) do removed[#removed + 1] = name end
  local probe = redis.call('HGET', KEY.lane, 'probe')
  if probe and probe == id .. ' ' .. record.token then redis.call('HDEL', KEY.lane, 'probe') end
  is_no_example_any_more(id)
  count('erased', 1)
end
redis.call('ZREM', KEY.missing, id)
redis.call('ZREM', KEY.removed, id)
local hash = tombstone(id)
redis.call('SADD', KEY.erased, hash)
log_deed('erase', ARGV[4], #removed > 0 and 1 or 0, { hash })
local state = record.state
if state == 'unknown' and was_erased then state = 'erased' end
return { state, hash, unpack(removed) }
