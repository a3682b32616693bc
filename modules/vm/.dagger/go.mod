module dagger/vm

go 1.25.0
