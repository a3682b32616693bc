module github.com/mastercard/mangos/modules/golang/lint

go 1.25.0

toolchain go1.26.8

require (
	github.com/golangci/misspell v0.7.0
	github.com/golangci/unconvert v0.0.0-20250410112200-a129a6e6413e
	github.com/mgechev/revive v1.12.0
	github.com/polyfloyd/go-errorlint v1.8.0
	github.com/securego/gosec/v2 v2.22.8
	github.com/ultraware/whitespace v0.2.0
	golang.org/x/tools v0.41.0
	honnef.co/go/tools v0.7.0
	mvdan.cc/unparam v0.0.0-20250301125049-0df0534333a4
)

require (
	github.com/BurntSushi/toml v1.5.0 // indirect
	github.com/ccojocar/zxcvbn-go v1.0.4 // indirect
	github.com/fatih/structtag v1.2.0 // indirect
	github.com/hashicorp/go-version v1.7.0 // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.32.0 // indirect
	golang.org/x/sync v0.19.0 // indirect
	golang.org/x/text v0.28.0 // indirect
)
