#!lua flags=allow-oom
-- Frees dead letters for any of Roark's ways in, on the word of somebody who knows that Roark does not have these calls.
-- They stay dead letters; what was sent by one way before, and perhaps came through, no longer binds them (see _route.lua).
--
-- needs _by_hand.lua
--
-- ARGV  1 now   2 who (JSON)   then the call ids
-- Returns for each id `freed`, or the state that it is in instead, or `unknown`.

return by_hand('route', function(id, record)
  if not LEGAL.replay[record.state] then return end
  redis.call('HSET', KEY.routes, id, 'f')
  tell(id, 'freed', ARGV[2])
  return 'freed'
end)
