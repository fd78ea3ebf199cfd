"""Changes of a job in Redis that must happen all at once, as scripts that the server runs.

A job has a hash (`job`), a stream of items that are not finished (`items`), a bitmap of those that are (`ended`), and a
list of their documents (`results`). Open jobs are in one sorted set for each priority, in the order in which an item of
them was last taken, and in a set of their caller's.
"""

COMMIT = """
-- KEYS: job, items, open, caller's, idempotency or ''   ARGV: id, now, keep_ms, most, idempotency given, fields...
if ARGV[5] == '1' then
    local earlier = redis.call('GET', KEYS[5])
    if earlier and redis.call('TYPE', string.sub(KEYS[1], 1, -#ARGV[1] - 1) .. earlier).ok == 'hash' then
        return earlier
    end
end
if redis.call('SCARD', KEYS[4]) >= tonumber(ARGV[4]) then
    return ''
end
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('SADD', KEYS[4], ARGV[1])
if ARGV[5] == '1' then
    redis.call('SET', KEYS[5], ARGV[1], 'PX', ARGV[3])
end
return ARGV[1]
"""
"""Makes a job whose items are there visible: its id, that of an earlier one, or '' where the caller has too many."""

FINISH = """
-- KEYS: job, items, ended, results, open, caller's, callbacks   ARGV: id, index, field, document, entry, now, keep_ms
if redis.call('HGET', KEYS[1], 'state') ~= 'running' then
    return 0
end
redis.call('XACK', KEYS[2], 'workers', ARGV[5])
redis.call('XDEL', KEYS[2], ARGV[5])
if redis.call('SETBIT', KEYS[3], ARGV[2], 1) == 1 then
    return 0
end
redis.call('RPUSH', KEYS[4], ARGV[4])
redis.call('HINCRBY', KEYS[1], ARGV[3], 1)
for place = 1, 4 do
    redis.call('PEXPIRE', KEYS[place], ARGV[7])
end
local key = redis.call('HGET', KEYS[1], 'idempotency')
if key ~= '' then
    redis.call('PEXPIRE', key, ARGV[7])
end
if redis.call('LLEN', KEYS[4]) == tonumber(redis.call('HGET', KEYS[1], 'total')) then
    redis.call('HSET', KEYS[1], 'state', 'done', 'ended', ARGV[6])
    redis.call('ZREM', KEYS[5], ARGV[1])
    redis.pcall('SREM', KEYS[6], ARGV[1])
    redis.call('DEL', KEYS[2])
    if redis.call('HGET', KEYS[1], 'callback_url') ~= '' then
        redis.call('ZADD', KEYS[7], ARGV[6], ARGV[1])
    end
end
return 1
"""
"""Keeps the outcome of an item unless it has one: 1, else 0. Of its caller's set as `CANCEL`."""

CANCEL = """
-- KEYS: job, items, open, caller's, results   ARGV: id, now, keep_ms
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'waiting' and state ~= 'running' then
    return 0
end
-- First, as it needs no room: a full server then lets the rest of the script write.
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'state', 'cancelled', 'ended', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[5], ARGV[3])
local key = redis.call('HGET', KEYS[1], 'idempotency')
if key ~= '' then
    redis.call('PEXPIRE', key, ARGV[3])
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.pcall('SREM', KEYS[4], ARGV[1])
return 1
"""
"""Ends a job, which does not depend on the set of its caller: somebody else may have put another value there."""

TAKEN = """
-- KEYS: job, open   ARGV: id, now
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'waiting' and state ~= 'running' then
    return 0
end
redis.call('HSET', KEYS[1], 'state', 'running')
redis.call('HSETNX', KEYS[1], 'started', ARGV[2])
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
if last then
    redis.call('ZADD', KEYS[2], 'XX', string.format('%.0f', tonumber(last) + 1), ARGV[1])
end
return 1
"""
"""Notes that an item was taken, so that the other jobs come first next time: 0 when the job has ended.

By a number, not the time: clocks differ, and may be set back.
"""

RESULTS = """
-- KEYS: results   ARGV: after, count, most bytes
local found, left = {}, tonumber(ARGV[3])
local first = tonumber(ARGV[1])
local last = first + tonumber(ARGV[2]) - 1
for place = first, last, 10 do
    local documents = redis.call('LRANGE', KEYS[1], place, math.min(place + 9, last))
    for _, document in ipairs(documents) do
        left = left - #document
        if #found > 0 and left < 0 then
            return found
        end
        found[#found + 1] = document
    end
    if #documents < 10 then
        break
    end
end
return found
"""
"""Documents of a list until they have so many bytes, one at least; ten are looked at together."""

CALLBACK = """
-- KEYS: callbacks   ARGV: now, again, what keys of jobs begin with
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)
if #due == 0 then
    return {}
end
local job = ARGV[3] .. due[1]
if redis.call('TYPE', job).ok ~= 'hash' then
    redis.call('ZREM', KEYS[1], due[1])
    return {}
end
redis.call('ZADD', KEYS[1], ARGV[2], due[1])
return {due[1], redis.call('HINCRBY', job, 'callback_tries', 1)}
"""
"""A job whose caller is to be told now, as its id and the number of this attempt; it is due again at the time `again`.

Here, since a job that is no longer kept would come back as one number, which never goes.
"""

GIVE_BACK = """
-- KEYS: items   ARGV: entry, consumer, index, key, tries
local held = redis.pcall('XPENDING', KEYS[1], 'workers', ARGV[1], ARGV[1], 1, ARGV[2])
if not held.err and #held == 1 then
    redis.call('XACK', KEYS[1], 'workers', ARGV[1])
    redis.call('XDEL', KEYS[1], ARGV[1])
    redis.call('XADD', KEYS[1], '*', 'index', ARGV[3], 'key', ARGV[4], 'tries', ARGV[5])
end
return 1
"""
"""Puts an item that this worker still holds to the end of the stream, to be read by any; `tries`: without this one."""
