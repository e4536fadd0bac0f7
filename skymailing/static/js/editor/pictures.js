// Pictures: chosen, dropped or pasted; sent to the server, which gives them an address; then put in.
(function () {
  "use strict";
  var editor = window.letterEditor;

  function send(file) {
    var data = new FormData();
    data.append("csrf_token", editor.token());
    data.append("picture", file);
    return fetch(editor.form.dataset.pictures, { method: "POST", body: data }).then(function (answer) {
      if (answer.redirected) throw new Error(editor.words.signedOut);
      return answer.json().then(function (told) {
        if (!answer.ok) throw new Error(told.problem || editor.words.uploadFailed);
        return told;
      });
    });
  }

  function insert(picture, alt) {
    if (editor.mode === "writing") {
      var quill = editor.writing();
      var at = editor.place().index;
      quill.insertEmbed(at, "image", picture.url, "user");
      quill.formatText(at, 1, { alt: alt, width: String(picture.shown) }, "user");
      quill.setSelection(at + 1, "user");
    } else if (editor.mode === "markdown") {
      editor.insertIntoField(editor.body, "![" + alt.replace(/[[\]]/g, "") + "](" + picture.url + ")");
    } else {
      alt = alt.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;");
      editor.insertIntoField(editor.body, '<img src="' + picture.url + '" alt="' + alt + '" width="' + picture.shown + '" style="max-width:100%;height:auto">');
    }
  }

  // One after the other, as each asks for its words.
  editor.uploadPictures = function (files) {
    if (editor.mode === "text") {
      editor.tell(editor.words.noPicturesInText);
      return Promise.resolve();
    }
    return Array.prototype.slice.call(files).reduce(function (before, file) {
      return before.then(function () {
        editor.tell(editor.words.uploading);
        return send(file).then(function (picture) {
          editor.tell("");
          var preview = document.querySelector("#ask-alt .ask-picture");
          preview.src = editor.shownPicture(picture.url);
          return editor.ask("ask-alt", {}).then(function (answer) {
            if (answer) insert(picture, answer.alt.trim());
          });
        });
      });
    }, Promise.resolve()).catch(function (error) {
      editor.tell(error.message || editor.words.uploadFailed);
    });
  };

  function filesOf(transfer) {
    return Array.prototype.filter.call((transfer && transfer.files) || [], function (file) {
      return /^image\//.test(file.type);
    });
  }

  editor.startPictures = function () {
    var input = editor.form.querySelector(".picture-file");
    input.addEventListener("change", function () {
      var files = Array.prototype.slice.call(input.files);
      input.value = "";
      editor.uploadPictures(files);
    });
    editor.choosePicture = function () {
      input.click();
    };
    // In the textarea; in writing mode Quill does the same.
    ["paste", "drop"].forEach(function (name) {
      editor.body.addEventListener(name, function (event) {
        var files = filesOf(event.clipboardData || event.dataTransfer);
        if (!files.length) return;
        event.preventDefault();
        editor.uploadPictures(files);
      });
    });
  };
})();
