#!lua flags=allow-oom
-- Ends it that a partition adopts: whoever still holds a call that was exported long ago does not bring it back.
--
-- ARGV  1 now
-- Returns 1 where it did adopt.

return redis.call('HDEL', KEY.promises, 'adopting')
