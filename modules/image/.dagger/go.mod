module dagger/image

go 1.25.0
