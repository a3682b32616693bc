package component

import (
	"fmt"
	"time"
)

// stamp shows a time: seconds and nanoseconds since 1970, and as a date where
// it has one of four digits.
func stamp(sec, nsec int64) string {
	if sec < 0 || sec > 253402300799 {
		return fmt.Sprintf("%d.%09d s", sec, nsec)
	}
	return time.Unix(sec, nsec).UTC().Format(time.RFC3339Nano)
}
