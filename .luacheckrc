std = 'luajit'
read_globals = {
    '_TARANTOOL',
    'tonumber64',
    box = {other_fields = true},
    os = {fields = {'environ', 'setenv'}},
    string = {fields = {'endswith', 'fromhex', 'hex', 'split', 'startswith', 'strip'}},
    table = {fields = {'deepcopy'}},
}
max_line_length = 120
max_cyclomatic_complexity = 16
exclude_files = {'.rocks', 'build*', 'target'}

-- What is installed logs instead of printing, and loads nothing but with `require`.
files['lua'] = {not_globals = {'arg', 'dofile', 'getfenv', 'io', 'load', 'loadfile', 'loadstring', 'print', 'setfenv'}}
-- Tests change the settings of a session.
files['test'] = {globals = {'box'}}
