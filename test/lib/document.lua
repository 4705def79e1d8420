--- A Markdown document: its blocks of code, and the console sessions and statements in them.

local document = {}

--- A block: `language` and `about` are the words after its fence, `line` is where its text begins.
local function read_blocks(text)
    local blocks, block = {}, nil
    local number = 0
    for line in (text .. '\n'):gmatch('(.-)\n') do
        number = number + 1
        local info = line:match('^%s*```(.*)$')
        if info == nil then
            if block ~= nil then
                table.insert(block.lines, line)
            end
        elseif block ~= nil then
            block = nil
        else
            local language, about = info:match('^(%S*)%s*(.*)$')
            block = {language = language, about = about, line = number + 1, lines = {}}
            table.insert(blocks, block)
        end
    end
    assert(block == nil, 'a block is not closed')
    return blocks
end

--- The name of the file that a block is, or nil.
function document.file_name(block)
    return block.about:match('^file=(%S+)$')
end

--- Whether it can be run as it is, as the interactive console decides that.
local function is_complete(code)
    return loadstring('return ' .. code) ~= nil or loadstring(code) ~= nil
end

--- The statements of a block of Lua: `code`, `line`, and what is `expected` of it: the text behind `-- → `, on its last
-- line or on those below, where it goes on behind `--   `.
function document.statements(block)
    local statements = {}
    local pending, began = nil, nil
    for i, line in ipairs(block.lines) do
        local last = statements[#statements]
        local code, expected = line:match('^(.-)%s*%-%- → (.*)$')
        local more = last and last.expected and line:match('^%-%-   (.*)$')
        if more ~= nil then
            last.expected = last.expected .. '\n' .. more
        elseif code == '' then
            last.expected = (last.expected and last.expected .. '\n' or '') .. expected
        else
            code = code or line
            pending = pending and pending .. '\n' .. code or code
            began = began or i
            if is_complete(pending) then
                if pending:gsub('%-%-[^\n]*', ''):find('%S') then
                    table.insert(statements, {code = pending, expected = expected, line = block.line + began - 1})
                end
                pending, began = nil, nil
            end
        end
    end
    assert(pending == nil, ('line %d: a statement does not end'):format(block.line + #block.lines))
    return statements
end

-- What the console says of itself.
local function is_banner(line)
    return line:match('^Tarantool %d') or line:match("^type 'help'")
end

--- The steps of a console session, in order. Each has one of
-- shell    a command, given to the shell
-- code     a line given to Tarantool, and its `output`, YAML
-- printed  a line that appeared by itself
function document.session(block)
    local steps, output = {}, nil
    for i, line in ipairs(block.lines) do
        local at = block.line + i - 1
        local shell, code = line:match('^%$ (.*)$'), line:match('^tarantool> (.+)$')
        if output ~= nil then
            table.insert(output, line)
            if line == '...' then
                steps[#steps].output, output = table.concat(output, '\n') .. '\n', nil
            end
        elseif line == '---' then
            output = {line}
        elseif shell ~= nil then
            table.insert(steps, {shell = shell, line = at})
        elseif code ~= nil then
            table.insert(steps, {code = code, line = at})
        elseif line ~= '' and not is_banner(line) then
            table.insert(steps, {printed = line, line = at})
        end
    end
    assert(output == nil, ('line %d: an output does not end'):format(block.line))
    return steps
end

--- Reads a document. `translate` is applied to the text first.
function document.read(path, translate)
    local file = assert(io.open(path))
    local text = file:read('*a')
    file:close()
    text = translate and translate(text) or text
    return {text = text, blocks = read_blocks(text)}
end

return document
