module dagger/golang

go 1.25.0
