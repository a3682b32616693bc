module dagger/kernel

go 1.25.0
