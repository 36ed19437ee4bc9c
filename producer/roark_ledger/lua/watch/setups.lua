#!lua flags=no-writes,allow-oom
-- How the workers were set up, the oldest first.
--
-- ARGV  1 now
-- Returns for each set-up `first latest starts JSON`: when it was first and last started with (ms), and how often.

return redis.call('LRANGE', KEY.setups, 0, -1)
