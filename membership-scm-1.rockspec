package = 'membership'
version = 'scm-1'
source = {
    -- Made by the build from the last commit, beside this file (CMakeLists.txt).
    url = 'file://membership-scm-1.tar.gz',
}
description = {
    summary = 'A mesh of Tarantool instances that watch one another',
    detailed = [[
        Instances find one another, notice within seconds when one dies or
        comes back, and share a small payload: SWIM gossip over UDP, run by
        a native thread. A drop-in for the Lua rock of the same name.
    ]],
    license = 'BSD',
}
dependencies = {
    'lua >= 5.1',
}
build = {
    type = 'cmake',
    variables = {
        TARANTOOL_INSTALL_LIBDIR = '$(LIBDIR)',
        TARANTOOL_INSTALL_LUADIR = '$(LUADIR)',
        TARANTOOL_INSTALL_BINDIR = '$(BINDIR)',
    },
    -- No directory: the rock carries README and LICENSE instead of all of doc/.
    copy_directories = {},
}
