package browser

import (
	"context"
	"fmt"
)

// find is JavaScript that finds the last element of the page that a selector matches and
// whose text has some words, and in it the first shown element that another one matches.
// Each of them may be empty.
const find = `(s,w,i)=>[...document.querySelectorAll(s)].filter(e=>e.textContent.includes(w)).reverse()
	.map(e=>i?[...e.querySelectorAll(i)].find(x=>x.checkVisibility({visibilityProperty:true})):e).find(e=>e&&e.checkVisibility({visibilityProperty:true}))`

// still is JavaScript that returns where the element is that find finds, once it has not
// moved for a few frames and nothing covers it, or after some seconds.
const still = `async(...a)=>{let at, last, calm=0;
	for (let n=0; n<200 && calm<5; n++) {
		const e=(` + find + `)(...a);
		if (e) {
			e.scrollIntoView({block:'center'});
			const r=e.getBoundingClientRect(); at={x:r.x+r.width/2, y:r.y+r.height/2};
			const hit=document.elementFromPoint(at.x, at.y);
			calm = last && last.x===at.x && last.y===at.y && hit && e.contains(hit) ? calm+1 : 0;
			last=at;
		}
		await new Promise(f=>setTimeout(f, 20));
	}
	return at}`

// Click clicks the last element that is shown and that a CSS selector finds, once there
// is one.
func (p *Page) Click(ctx context.Context, selector string) error {
	return p.ClickIn(ctx, selector, "", "")
}

// ClickIn clicks, in the last element that a selector finds and whose text has some words,
// the first element that an inner selector finds.
func (p *Page) ClickIn(ctx context.Context, selector, words, inner string) error {
	what := fmt.Sprintf("%q with %q and in it %q", selector, words, inner)
	if err := p.Until(ctx, what, find, selector, words, inner); err != nil {
		return err
	}
	var at struct{ X, Y float64 }
	err := p.Eval(ctx, &at, still, selector, words, inner)
	if err != nil {
		return fmt.Errorf("finding %s: %w", what, err)
	}
	return p.clickAt(ctx, at.X, at.Y)
}

func (p *Page) clickAt(ctx context.Context, x, y float64) error {
	for _, kind := range []string{"mouseMoved", "mousePressed", "mouseReleased"} {
		params := map[string]any{"type": kind, "x": x, "y": y, "clickCount": 1}
		if kind != "mouseMoved" {
			params["button"] = "left"
		}
		if err := p.Call(ctx, "Input.dispatchMouseEvent", params, nil); err != nil {
			return err
		}
	}
	return nil
}

// Type types a text into what has the focus.
func (p *Page) Type(ctx context.Context, text string) error {
	return p.Call(ctx, "Input.insertText", map[string]any{"text": text}, nil)
}

// Enter presses the key of that name.
func (p *Page) Enter(ctx context.Context) error {
	for _, kind := range []string{"keyDown", "keyUp"} {
		params := map[string]any{"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "nativeVirtualKeyCode": 13}
		if kind == "keyDown" {
			params["text"] = "\r"
		}
		if err := p.Call(ctx, "Input.dispatchKeyEvent", params, nil); err != nil {
			return err
		}
	}
	return nil
}

// SelectAll marks all of the text field that has the focus, so that typing replaces it.
func (p *Page) SelectAll(ctx context.Context) error {
	return p.Eval(ctx, nil, `()=>document.activeElement.select()`)
}

// Choose puts a file of this machine into a file field, as a file dialog does.
func (p *Page) Choose(ctx context.Context, selector, path string) error {
	if err := p.Until(ctx, "a file field "+selector, `s=>document.querySelector(s)`, selector); err != nil {
		return err
	}
	var doc struct{ Root struct{ NodeID int } }
	if err := p.Call(ctx, "DOM.getDocument", nil, &doc); err != nil {
		return err
	}
	var found struct{ NodeID int }
	err := p.Call(ctx, "DOM.querySelector", map[string]any{"nodeId": doc.Root.NodeID, "selector": selector}, &found)
	if err != nil {
		return err
	}
	return p.Call(ctx, "DOM.setFileInputFiles", map[string]any{"nodeId": found.NodeID, "files": []string{path}}, nil)
}
