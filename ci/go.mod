module dagger/mangos

go 1.25.0
