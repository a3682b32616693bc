module dagger/toolchain

go 1.25.0
