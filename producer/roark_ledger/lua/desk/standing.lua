#!lua flags=no-writes,allow-oom
-- Which reports stand in a place, and where in it: ids and scores alone, for who knows the reports already.
--
-- ARGV  1 now   2 place: a sorted set of reports, by its name in keys.py   3 score from which on
--       4 how many of that score to leave out: those on the page before   5 most
-- Returns { call id, score, … } in the order of the place.

return redis.call('ZRANGEBYSCORE', KEY[ARGV[2]], ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', ARGV[4], ARGV[5])
