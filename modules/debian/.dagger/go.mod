module dagger/debian

go 1.25.0
