--- The logger of the module.
--
-- From Tarantool 2.11 on there are loggers with names, and the level of each can be set:
-- `log.cfg{modules = {membership = 'debug'}}`. Without this, the name would be made of the path of each file.

local log = require('log')

local NAME = 'membership'

return log.new ~= nil and log.new(NAME) or log
