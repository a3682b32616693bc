package fetch

import (
	"net/http"
	"strconv"
	"time"
)

// Limited reads from an answer that a server's rate limit is reached, and until when the
// server wants to be left alone: GitHub's documentation, "Rate limits for the REST API".
func Limited(rsp *http.Response, now time.Time) (until time.Time, reached bool) {
	if rsp.StatusCode != http.StatusForbidden && rsp.StatusCode != http.StatusTooManyRequests {
		return time.Time{}, false
	}
	const least, most = time.Minute, 2 * time.Hour
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(rsp.Header.Get("Retry-After"), 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if rsp.Header.Get("X-RateLimit-Remaining") == "0" {
		if at, err := strconv.ParseInt(rsp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			wait = time.Unix(at, 0).Sub(now)
		}
	} else if rsp.StatusCode == http.StatusForbidden {
		return time.Time{}, false // no access, which waiting does not change
	}
	return now.Add(min(max(wait, least), most)), true
}
