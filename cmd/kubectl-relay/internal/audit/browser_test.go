//go:build clients

package audit_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/relaykeep/relaykeep/test/clients/browser"
)

// browserTime bounds the whole test.
const browserTime = time.Minute

// TestPage_InARealBrowser shows the page of the golden file at the width of a desktop and of a phone, and prints it.
func TestPage_InARealBrowser(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), browserTime)
	defer cancel()
	server := httptest.NewServer(http.FileServer(http.Dir("testdata")))
	t.Cleanup(server.Close)
	for _, width := range []int{1280, 360} {
		page, err := browser.Open(ctx, browser.Options{Dir: t.TempDir(), Width: width, Height: 800})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(page.Close)
		if err := page.Navigate(ctx, server.URL+"/page.html"); err != nil {
			t.Fatal(err)
		}
		if err := page.Until(ctx, "the page", `() => document.readyState === "complete"`); err != nil {
			t.Fatal(err)
		}
		look(ctx, t, page, width)
		if said := page.Console(); len(said) > 0 {
			t.Errorf("at %d pixels the browser says %q", width, said)
		}
		printed(ctx, t, page)
	}
}

// look reads what a reader sees.
func look(ctx context.Context, t *testing.T, page *browser.Page, width int) {
	t.Helper()
	var seen struct {
		Fetched, Overflow, Unnamed, Broken int
		Title                              string
		Faint                              []string
	}
	const looks = `() => {
		const light = rgb => {
			const [r, g, b] = rgb.match(/[\d.]+/g).map(Number).map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 });
			return 0.2126 * r + 0.7152 * g + 0.0722 * b;
		};
		const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (c !== "rgba(0, 0, 0, 0)") return c } return "rgb(255, 255, 255)" };
		const faint = [];
		for (const e of document.querySelectorAll("td, th, p, dt, dd, h1, h2, h3, caption, span")) {
			const a = light(getComputedStyle(e).color), b = light(behind(e));
			if ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5) faint.push(e.textContent);
		}
		return {
			fetched: performance.getEntriesByType("resource").length,
			overflow: document.documentElement.scrollWidth - window.innerWidth,
			unnamed: [...document.querySelectorAll("th")].filter(e => !e.scope).length,
			broken: document.querySelectorAll("td.broken").length,
			title: document.title,
			faint,
		};
	}`
	if err := page.Eval(ctx, &seen, looks); err != nil {
		t.Fatal(err)
	}
	if seen.Fetched > 0 || seen.Overflow > 0 || seen.Unnamed > 0 || len(seen.Faint) > 0 {
		t.Errorf("at %d pixels: %d fetched, %d pixels too wide, %d headers without a scope, too faint: %q", width, seen.Fetched, seen.Overflow, seen.Unnamed, seen.Faint)
	}
	if seen.Title == "" || seen.Broken == 0 {
		t.Errorf("at %d pixels it shows title %q and %d broken cells", width, seen.Title, seen.Broken)
	}
}

// printed prints the page as a PDF, and wants one of some sheets.
func printed(ctx context.Context, t *testing.T, page *browser.Page) {
	t.Helper()
	var pdf struct{ Data string }
	if err := page.Call(ctx, "Page.printToPDF", map[string]any{"preferCSSPageSize": true, "printBackground": true}, &pdf); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(pdf.Data)
	if err != nil || len(raw) < 10_000 || string(raw[:5]) != "%PDF-" {
		t.Errorf("it prints %d bytes (%v)", len(raw), err)
	}
}
