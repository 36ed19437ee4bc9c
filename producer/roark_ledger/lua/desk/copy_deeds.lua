#!lua flags=allow-oom
-- Copies a page of the operators' logbook into a fresh one, with some lines changed: a stream keeps what was deleted from
-- it until a whole block is gone, and takes nothing in between. `swap_deeds.lua` puts it in the old one's place.
--
-- ARGV  1 now   2 id of the last line that was copied, empty to begin   3 most lines
--       then for each changed line its id, who (JSON), calls
-- Returns { how many were copied, id of the last one }; -1 where somebody else began a copy meanwhile.

local after, changed = ARGV[2], {}
for i = 4, #ARGV, 3 do changed[ARGV[i]] = { who = ARGV[i + 1], calls = ARGV[i + 2] } end
if after == '' then
  redis.call('UNLINK', KEY.logbook_fresh)
else
  local last = redis.call('XREVRANGE', KEY.logbook_fresh, '+', '-', 'COUNT', 1)[1]
  if not last or last[1] ~= after then return { -1, '' } end
end
local rows = redis.call('XRANGE', KEY.logbook, after == '' and '-' or '(' .. after, '+', 'COUNT', ARGV[3])
for _, row in ipairs(rows) do
  local id, fields = row[1], row[2]
  local change = changed[id]
  for i = 1, #fields, 2 do
    if change and change[fields[i]] then fields[i + 1] = change[fields[i]] end
  end
  redis.call('XADD', KEY.logbook_fresh, id, unpack(fields))
  after = id
end
return { #rows, after }
