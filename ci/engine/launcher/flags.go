package main

import "context"

func (l *launcher) addMachineFlags(ctx context.Context, args []string) ([]string, error) {
	return args, nil
}
