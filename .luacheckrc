std = 'luajit'
globals = {'box'}
read_globals = {
    '_TARANTOOL',
    'tonumber64',
    os = {fields = {'environ', 'setenv'}},
    string = {fields = {'endswith', 'fromhex', 'hex', 'split', 'startswith', 'strip'}},
    table = {fields = {'deepcopy'}},
}
max_line_length = 120
exclude_files = {'.rocks', 'build*', 'target'}
