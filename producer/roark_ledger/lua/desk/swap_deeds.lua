#!lua flags=allow-oom
-- Puts the copy of the operators' logbook in its place, where nothing was written since.
--
-- ARGV  1 now   2 id of the last line that was copied
-- Returns 1, or 0 where lines have to be copied first, or somebody else's copy lies there.

for _, key in ipairs({ KEY.logbook, KEY.logbook_fresh }) do
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  if not last or last[1] ~= ARGV[2] then return 0 end
end
-- RENAME alone would free the old one before it answers.
redis.call('UNLINK', KEY.logbook)
redis.call('RENAME', KEY.logbook_fresh, KEY.logbook)
return 1
