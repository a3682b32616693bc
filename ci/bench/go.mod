module github.com/mastercard/mangos/ci/bench

go 1.25
